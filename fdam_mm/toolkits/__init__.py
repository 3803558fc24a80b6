"""What we need of OpenMMLab's toolkits and what we change in them."""
