package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** What the libraries that run ONNX files have in common: no power modes, and errors that throw. */
public abstract class OnnxEngine implements Engine {
    private final String id;
    private final String title;
    private final NativeLibrary library;

    OnnxEngine(String id, String title, NativeLibrary library) {
        this.id = id;
        this.title = title;
        this.library = library;
    }

    /** The version that a library which can be loaded gives itself. */
    abstract String libraryVersion();

    /** Opens a package's model with a library that can be loaded. */
    abstract Session open(ModelPackage pack, int threads) throws PortageException;

    @Override
    public final String id() {
        return id;
    }

    @Override
    public final String title() {
        return title;
    }

    @Override
    public final PortageException problem() {
        return library.problem();
    }

    @Override
    public final String version() {
        return problem() == null ? libraryVersion() : null;
    }

    @Override
    public final boolean hasPowerModes() {
        return false;
    }

    @Override
    public final Session open(ModelPackage pack, int threads, PowerMode mode)
            throws PortageException {
        if (problem() != null) {
            throw problem();
        }
        try {
            return open(pack, threads);
        } catch (LinkageError error) { // a class or a function that this library does not have
            throw library.notLoaded(error);
        }
    }
}
