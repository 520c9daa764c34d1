package org.paddleportage.app;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.engine.PowerMode;

/** Which model is to run, and how. */
record Choice(ModelPackage pack, int threads, PowerMode mode) {
    boolean sameAs(Choice other) {
        return other != null
                && pack == other.pack
                && threads == other.threads
                && mode == other.mode;
    }
}
