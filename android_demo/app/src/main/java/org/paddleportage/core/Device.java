package org.paddleportage.core;

/**
 * What every shared number is given with.
 *
 * @param device maker and model, as the phone calls itself
 * @param soc the chip, or "unknown" (Android tells since version 12)
 * @param abi the ABI that this process runs in, e.g. "arm64-v8a"
 * @param android the version that people know, e.g. "14"
 * @param app this app's version
 */
public record Device(String device, String soc, String abi, String android, String app) {}
