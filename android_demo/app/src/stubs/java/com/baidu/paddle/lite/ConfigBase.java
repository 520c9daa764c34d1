package com.baidu.paddle.lite;

/** Shape only, to compile against where Paddle Lite's own archive is not at hand; never shipped. */
public class ConfigBase {}
