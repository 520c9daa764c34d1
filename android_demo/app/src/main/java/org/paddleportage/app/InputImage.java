package org.paddleportage.app;

import org.paddleportage.core.PortageException;
import org.paddleportage.core.Preprocess;

/** A photo that is to be recognized, in whatever form it is there. */
interface InputImage {
    /** The network's input float32 [3, S, S]. */
    float[] chw(Preprocess preprocess) throws PortageException;
}
