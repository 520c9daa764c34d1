package org.paddleportage.core;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Measurements as a table for other programs (CSV, RFC 4180). */
public final class BenchCsv {
    private static final List<String> COLUMNS =
            Arrays.asList(
                    "model", "name", "target", "precision", "weights", "engine", "engine_version",
                    "threads", "power_mode", "runs", "median_ms", "p90_ms", "p99_ms", "note",
                    "device", "soc", "abi", "android", "app");

    private BenchCsv() {}

    /** The header and a line per measurement, each with the device it was made on. */
    public static String write(List<BenchRow> rows, Device device) {
        StringBuilder out = new StringBuilder();
        line(COLUMNS, out);
        for (BenchRow row : rows) {
            ModelPackage pack = row.pack();
            Latency latency = row.latency();
            line(
                    Arrays.asList(
                            pack.model(), pack.name(), pack.target(), pack.precision(),
                            pack.weights(), pack.engine(), row.engineVersion(),
                            String.valueOf(row.threads()), row.powerMode(),
                            String.valueOf(latency.runs()),
                            ms(latency.medianMs()), ms(latency.p90Ms()), ms(latency.p99Ms()),
                            row.note(), device.device(), device.soc(), device.abi(),
                            device.android(), device.app()),
                    out);
        }
        return out.toString();
    }

    private static String ms(double value) {
        return String.format(Locale.ROOT, "%.3f", value);
    }

    private static void line(List<String> cells, StringBuilder out) {
        String separator = "";
        for (String cell : cells) {
            out.append(separator).append(quoted(cell));
            separator = ",";
        }
        out.append("\r\n");
    }

    private static String quoted(String cell) {
        for (char special : new char[] {'"', ',', '\r', '\n'}) {
            if (cell.indexOf(special) >= 0) {
                return '"' + cell.replace("\"", "\"\"") + '"';
            }
        }
        return cell;
    }
}
