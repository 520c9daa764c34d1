package org.paddleportage.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.opencv.core.Core;
import org.opencv.core.CvType;
import org.opencv.core.Mat;
import org.opencv.dnn.Dnn;
import org.opencv.dnn.Net;
import org.paddleportage.core.Fault;
import org.paddleportage.core.ModelPackage;
import org.paddleportage.core.PortageException;

/** A model in OpenCV's DNN module. Apart from its engine, which must load without the library. */
final class OpenCvSession implements Session {
    // The number of threads is one for the whole process: what one session sets, another's run
    // must not meet.
    private static final Object LIBRARY = new Object();
    private static final Pattern ERROR = Pattern.compile("error: \\(-\\d+:");
    private static final Pattern WHERE = Pattern.compile(" in function '[^']*'");

    private final int threads;
    private final int classes;
    private final OwnNet net;
    private final String output;
    private final DirectInput input;
    private final Mat blob; // the same memory
    private boolean closed;

    /**
     * A network whose memory can be given back: OpenCV leaves that to the collector, which sees a
     * few bytes where a model has hundreds of millions.
     */
    private static final class OwnNet extends Net {
        // The objects that OpenCV made for the same networks, some bytes each. Kept, since each
        // would free its network once more when it is collected.
        private static final List<Net> ORIGINALS = new ArrayList<>();

        private OwnNet(Net original) {
            super(original.getNativeObjAddr());
        }

        static OwnNet read(String file) {
            Net original = Dnn.readNetFromONNX(file);
            ORIGINALS.add(original);
            return new OwnNet(original);
        }

        @Override
        protected void finalize() {} // its memory is given back by `release` alone

        void release() {
            try {
                super.finalize();
            } catch (Throwable impossible) { // it throws nothing, but declares that it may
                throw new AssertionError(impossible);
            }
        }
    }

    private OpenCvSession(ModelPackage pack, int threads, OwnNet net) {
        this.threads = threads;
        this.net = net;
        classes = pack.classes();
        int side = pack.side();
        net.setPreferableBackend(Dnn.DNN_BACKEND_OPENCV);
        net.setPreferableTarget(Dnn.DNN_TARGET_CPU);
        output = net.getUnconnectedOutLayersNames().get(0);
        input = new DirectInput(side);
        Mat flat = new Mat(1, 3 * side * side, CvType.CV_32F, input.bytes);
        blob = flat.reshape(1, new int[] {1, 3, side, side});
        flat.release();
    }

    static String libraryVersion() {
        return Core.getVersionString();
    }

    static Session open(ModelPackage pack, int threads) throws PortageException {
        synchronized (LIBRARY) {
            OwnNet net = null;
            try {
                net = OwnNet.read(pack.modelFile().getPath());
                return new OpenCvSession(pack, threads, net);
            } catch (Exception error) {
                if (net != null) {
                    net.release();
                }
                throw new PortageException(
                        Fault.NOT_OPENED,
                        OpenCvEngine.TITLE,
                        pack.modelFile().getName(),
                        reason(error));
            }
        }
    }

    @Override
    public float[] run(float[] chw) throws PortageException {
        synchronized (LIBRARY) {
            if (closed) {
                throw new PortageException(Fault.CLOSED);
            }
            input.put(chw, OpenCvEngine.TITLE);
            try {
                return forward();
            } catch (PortageException known) {
                throw known;
            } catch (Exception error) { // C++'s own come as a bare Exception, undeclared
                throw new PortageException(Fault.RUN_FAILED, OpenCvEngine.TITLE, reason(error));
            }
        }
    }

    private float[] forward() throws PortageException {
        Core.setNumThreads(threads);
        net.setInput(blob);
        Mat found = net.forward(output);
        Mat row = found.reshape(1, 1);
        found.release();
        try {
            if (row.total() != classes) {
                throw new PortageException(
                        Fault.OUTPUT_LENGTH, OpenCvEngine.TITLE, row.total(), classes);
            }
            float[] logits = new float[classes];
            row.get(0, 0, logits);
            return logits;
        } finally {
            row.release();
        }
    }

    /**
     * The innermost cause in an error of OpenCV's, without its source files and functions: its
     * importer quotes the error of a layer in one of its own, over several lines.
     */
    static String reason(Exception error) {
        String text = String.valueOf(error.getMessage()).replace("\n>", "\n");
        String[] causes = ERROR.split(text.replaceAll("\\s+", " "));
        String cause = WHERE.matcher(causes[causes.length - 1]).replaceAll("");
        return cause.replaceFirst("\\) ", ": ").trim();
    }

    @Override
    public void close() {
        synchronized (LIBRARY) {
            if (!closed) {
                closed = true;
                blob.release();
                net.release();
            }
        }
    }
}
