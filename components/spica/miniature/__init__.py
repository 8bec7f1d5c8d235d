"""The miniature world: scenes, pictures, problems and long thoughts on which the whole experiment runs on 2 CPU cores."""
