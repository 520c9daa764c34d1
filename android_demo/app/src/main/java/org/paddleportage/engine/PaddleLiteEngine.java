package org.paddleportage.engine;

import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.NbHeader;
import org.paddleportage.core.PortageException;

/**
 * Paddle Lite through its Java API.
 *
 * <p>The library ends the process where others throw, so everything that can be known is checked
 * before it is asked: the header of the file, the versions. A library tells its version only once a
 * model is open, so the first one is opened under an {@link CrashMarker}.
 */
public final class PaddleLiteEngine implements Engine {
    static final String TITLE = "Paddle Lite";

    private final NativeLibrary library =
            new NativeLibrary(TITLE, "com.baidu.paddle.lite.PaddlePredictor");
    private volatile String version;

    /** @param version of the library in the app; null where it is not known */
    public PaddleLiteEngine(String version) {
        this.version = version;
    }

    @Override
    public String id() {
        return "paddle-lite";
    }

    @Override
    public String title() {
        return TITLE;
    }

    @Override
    public PortageException problem() {
        return library.problem();
    }

    @Override
    public String version() {
        return version;
    }

    @Override
    public boolean hasPowerModes() {
        return true;
    }

    @Override
    public Session open(ModelPackage pack, int threads, PowerMode mode) throws PortageException {
        NbHeader header = NbHeader.read(pack.modelFile());
        if (problem() != null) {
            throw problem();
        }
        if (version != null) {
            header.requireLibrary(version);
        }
        CrashMarker marker = CrashMarker.set(TITLE, pack.modelFile(), header.version());
        try {
            PaddleLiteSession session = new PaddleLiteSession(pack, marker);
            String found = session.open(threads, mode);
            if (!found.isEmpty()) {
                version = found;
                requireLibrary(header, found, session);
            }
            return session;
        } catch (LinkageError error) { // a class or a function that this library does not have
            marker.clear();
            throw library.notLoaded(error);
        }
    }

    private static void requireLibrary(NbHeader header, String found, Session session)
            throws PortageException {
        try {
            header.requireLibrary(found);
        } catch (PortageException otherVersion) {
            session.close();
            throw otherVersion;
        }
    }
}
