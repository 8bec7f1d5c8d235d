"""The miniature world: scenes, pictures, problems and long thoughts that run on two CPU cores."""
