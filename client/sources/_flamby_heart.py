"""FLamby's test patients of the four hospitals (du Terrail et al. 2022), as a list that is public and fixed.

FLamby draws its split by shuffling each hospital's patients, stratified by diagnosis: with one patient less it draws
another. Here it stands as drawn once from the published files (scikit-learn's `train_test_split`, 66 to 34, random
state 43), each row by its digest as in `heart`, so that a row's place depends on that row alone.
"""

from __future__ import annotations

from collections.abc import Mapping

_DIGESTS = {
    "cleveland": """
        03e35071a141 04b1ab1f557a 09c319397002 0c9c94fedc18 0d1ff437062f 0d84b2fc1cd2 10d6822dc1b6 1293224b419b
        13a068814b9e 154ff8a1f4c7 27a5dd60500e 2946ff443339 298f758871d3 304c72450ba4 32729aae4e11 3c783f2836ca
        43e54343c79b 466e98c0f662 46e1e4553180 4ce1609d8813 50aa6b4464d2 516525b03f89 516a0a80e94d 5334c5a037ab
        57a0fb4f84f2 5946241a954f 59b20fc7bb52 60f527150e06 6193caeae409 6340d45aeb2e 643a3f81065b 664466f01bf0
        6bc4b27780ea 6df6c57bf161 6fc2f79b2d01 70c34e46daa9 712e25bfd305 71d39b7bce88 7436608b1eee 7699900a322e
        791e59652dd3 7b33f5881c22 7d9a169f9a84 821a38e3736b 83579142529e 84a3a04a8cf9 86d1c4f29f64 87035d2115c1
        8742c5b576d6 87e96ad806a2 88cbc7f4fd52 8a4a9d0268d0 90bda8097485 9384787144d4 95375fa77f78 99d473952989
        9c281f4e715e a02fab882702 a235373d9154 a4db46d36e00 a5dd98715c5b a63b7a4492b3 a93838b36c2a aa5492a77432
        ac2906c59cf4 aceeb061fac3 af6b1af54820 b02a6b19d1ef b3c7d528f3f4 b3d1530ae5ba b45155770eb4 b9532a9358a0
        bb6bb3c1e03f bd0e38ccd0c3 bd300e629c9c be270b5f368a c35d13ed6430 c4ff4cfc7445 ca688aef168f ce2dae24cfa8
        d02df82d9d3f d51903b0fb49 d54d40ed4494 d7e2b6c86c7c d80341aba78e dbe73ad311d1 e1de776aa0b4 e6bda254aac4
        e7ed2fff5f12 e9347cfd8364 eb483fe5952e edd0c50e31f2 efebb096bb49 f2b35b17bbaf f3a5a74da9e9 f3ac135ad600
        f45e7bdb6400 f4d8f5f317c2 f69fba0e5954 f96afb236687 f9db9d539836 fb04bc8411b7 fc5b5a5e8e5c fdcf4fc16762
    """,
    "hungarian": """
        0878a1574421 09c5fa6e3897 0bc804fb1b7d 0ca1535f8c3d 0cf4d6283d07 0ffdf8661fa9 102764ca908e 12e8eeccc624
        15fba12cbe56 190adedf734f 1d69806199df 1f4dd13300b7 23542120e996 25084d40e23d 280b56f9c65f 29ea9cf5a7bd
        2bab684080f7 317dc8d59898 33ee6f1e2a14 38a6e4bcd2e7 3af5f8b36475 3bd7b7933a16 3e006299f240 3fe53be5f825
        4371d8152717 4684326efd78 49c5d5556a36 49f378e2845f 4d45e04f38b1 5073ac7e098b 56bfda109717 575d1487cbd3
        5972c3e180d8 5b5930539a54 5b7414da776f 6224ba30771b 622ea55a668c 6328c1183d36 64662ba15826 662bd074b45b
        668a627f5f5f 6a2043e0b81c 6d149a497036 6d62372d77c0 6e443a58521a 7c4a7373a004 7c99fae88eb9 80513d1ab9d0
        824f794738ab 84f1ea4f141f 87cb6de71d4b 8b9ae1f96225 91bd5e55880c 91e3fa3d3da1 92e2e13d9a0a 959eaea11a84
        95bac1af81ed 969a6cbf986a 97928b496451 99c096a0fdb6 9a1224124870 9e046c8386cc aa7aaf0e9f8f aad724043b30
        ad45449b5279 aeab59076771 b024e6c3e2b7 bb32285e2f4a c093f68d53f7 c22bb75fcb6d c60613b87b6c c6f5dafa7a07
        caed050da85d cb9024412600 cce1f2111e32 d08b0b965bd4 d165a4cb4837 d34716d4d8bf d40245ce25ca d85b013fc993
        e1b36bbba643 e42ccb3350d2 eac8ec49206a eae2e4743ad7 eafd9dec0626 eb52d4df9df4 f9f17a1efa25 fa2ab74d2374
        fe6bbabaf94d
    """,
    "switzerland": """
        0ba0a2e6651d 1265032aba55 350e39e07725 3d4a1c7799ff 47dd46d1ac87 4bc06bd4866e 5b19bbc48ec3 6fa04c6e8986
        79788fe8af2a 7da1aa295a58 922696263692 a2d5f5d93908 c33ea19754c0 e3c7a9b59b54 f2a1b5b789a2 f580be6a2ba1
    """,
    "va": """
        01bf555db875 075f6ee92ad3 076af8b22271 0fb47c13683b 19fcc3e35b8d 1ce5bcf5c5ba 24f8b57bd8af 307c1b029c61
        348a3516a46d 36e0cf880018 400547fc069d 4b27bedc87bf 4beaeab924d4 4df0fe5de93b 52322bf7a6a7 7058b519da79
        7b4f25aeb460 8875c3e65ff1-2 8c745e577ca1 9f695e8678d0 a6abda82da3d a767f4ae20f6 a7d413690b89 a7faf8680995
        a8fedd5621f9 ac37e9038a3b ad49f5fe7512 ad7468a28e31 aef4c59335c2 c51f4d3419e2 c6831aba9725 c7a09c9b407d
        cadec90ac236 cb125bf798bc cc2e2193b16a cd81450e19e7 d6bcb7ec203e d9ffad06906c da0dcf2eba7f dde0346bfa69
        e1ef49fa7030 e5b2f10dc3e3 ed34ccd690f3 f34f72c18530 f85e2c1cd2c8
    """,
}

TEST_ROWS: Mapping[str, frozenset[str]] = {site: frozenset(digests.split()) for site, digests in _DIGESTS.items()}
