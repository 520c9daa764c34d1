package org.paddleportage.core;

/** One library's way of resizing. Only the part that is wanted of the result is computed. */
interface Resizer {
    /**
     * The square of {@code side} pixels at ({@code left}, {@code top}) of a photo resized to
     * {@code width} × {@code height}: uint8 [side, side, 3], RGB.
     */
    byte[] resize(Photo photo, int width, int height, int left, int top, int side);

    /** The resizer for a package's "library" and "interpolation". */
    static Resizer find(String library, String interpolation) throws PortageException {
        switch (library + " " + interpolation) {
            case "opencv bilinear":
                return new OpenCvBilinear();
            case "pillow bilinear":
                return new PillowResampling(PillowResampling.BILINEAR);
            case "pillow bicubic":
                return new PillowResampling(PillowResampling.BICUBIC);
            default:
                throw new PortageException(Fault.UNKNOWN_RESIZE, library, interpolation);
        }
    }
}
