package org.paddleportage.engine;

import org.paddleportage.core.Classifier;

/**
 * An opened model. Any thread may call it; two calls at a time wait for each other. After {@code
 * close} a run is {@link org.paddleportage.core.Fault#CLOSED}.
 */
public interface Session extends Classifier, AutoCloseable {
    /** Gives the model's memory back; may be called twice. */
    @Override
    void close();
}
