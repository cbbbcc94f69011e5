/** Options of every load. */
export interface LoadOptions {}
