package org.paddleportage.core;

/** A network that is ready to run. */
public interface Classifier {
    /**
     * The logits float32 [classes] of one photo.
     *
     * @param chw float32 [3, S, S], normalized; not kept, not changed
     */
    float[] run(float[] chw) throws PortageException;
}
