"""DASHA beside TorchGeo's stock networks and a random forest, on the same images, splits, seeds and seconds.

Images in folders of classes (``eurosat_rgb_3000``), and tiles with a class for every pixel (``mbrsc_dubai_256``), no
scene of which is in two parts. DASHA runs through the core, on the arrays that the datamodule reads: its batches then
have the flips and quarter turns of `dasha.data.turns`, which are those of the datamodule that the stock tasks are
trained with. The stock networks begin with random weights and get as many seconds as DASHA took for everything: a share
of them for the learning rate, by validation score, and the rest for the training, of which the weights with the best
validation score count. Measured on test data: accuracy, or the mean of the Jaccard indices of all classes (mIoU).
"""
