package org.paddleportage.app;

import java.lang.annotation.ElementType;
import java.lang.annotation.Target;

/**
 * This method asks for Android's version before it calls what the oldest one does not have: the
 * check of what was compiled leaves it out.
 */
@Target(ElementType.METHOD)
@interface AsksForVersion {}
