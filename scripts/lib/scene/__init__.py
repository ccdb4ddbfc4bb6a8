"""An undistorted scene: cameras, photos, which of them judge, the sky."""
