"""Typed settings; the only place where a default is written. Imports neither torch nor cv2."""
