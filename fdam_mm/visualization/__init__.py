"""Drawing results; the visualizers of mmdet's and mmrotate's models need mmdet."""
