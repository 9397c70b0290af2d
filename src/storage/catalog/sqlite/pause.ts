/** The mark that long reads yield between two slices, when no read transaction is open and other calls may run. */
export const PAUSE: unique symbol = Symbol('pause');
