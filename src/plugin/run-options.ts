/** Options of every run. */
export interface RunOptions {}
