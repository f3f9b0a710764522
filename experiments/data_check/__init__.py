"""`wardround data check`: what a folder holds, case by case and hospital by hospital, before anything is trained."""
