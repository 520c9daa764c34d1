package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** A library that runs models. */
public interface Engine {
    /** The name that manifests call it by, e.g. "paddle-lite". */
    String id();

    /** The name that people call it by, e.g. "Paddle Lite". */
    String title();

    /** Why it cannot be used here (no library, wrong processor); null where it can. Never throws. */
    PortageException problem();

    /** The library's version; null while it is not known. */
    String version();

    /** Whether it can be told which cores to use. */
    boolean hasPowerModes();

    /**
     * Opens a package's model, which takes up to some seconds.
     *
     * @param threads 1 or more
     * @param mode passed over by engines without power modes
     */
    Session open(ModelPackage pack, int threads, PowerMode mode) throws PortageException;
}
