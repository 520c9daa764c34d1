package org.paddleportage.engine;

import org.paddleportage.core.Fault;
import org.paddleportage.core.PortageException;

/** A native library that a Java class loads when it is initialized: is it there, does it load? */
final class NativeLibrary {
    private final String title;
    private final String className;
    private final String loaderName;
    private boolean tried;
    private PortageException problem;

    /** One whose own class loads it. */
    NativeLibrary(String title, String className) {
        this(title, className, className);
    }

    /** One that has {@code className}, and that {@code loaderName} loads. */
    NativeLibrary(String title, String className, String loaderName) {
        this.title = title;
        this.className = className;
        this.loaderName = loaderName;
    }

    /**
     * Why the library cannot be used; null where it can. Tried once: later attempts to initialize a
     * class that failed no longer say why.
     */
    synchronized PortageException problem() {
        if (!tried) {
            tried = true;
            problem = attempt();
        }
        return problem;
    }

    private PortageException attempt() {
        ClassLoader loader = NativeLibrary.class.getClassLoader();
        try {
            Class.forName(className, false, loader);
        } catch (ClassNotFoundException | LinkageError absent) {
            return new PortageException(Fault.NO_LIBRARY, title);
        }
        try {
            Class.forName(loaderName, true, loader);
            return null;
        } catch (ClassNotFoundException | LinkageError error) {
            return notLoaded(error);
        }
    }

    /** The fault for a library that is there and does not fit. */
    PortageException notLoaded(Throwable error) {
        Throwable root = error;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        String said = root.getMessage() == null ? root.getClass().getSimpleName() : root.getMessage();
        String processor = System.getProperty("os.arch", "?");
        return new PortageException(Fault.LIBRARY_NOT_LOADED, title, processor, said);
    }
}
