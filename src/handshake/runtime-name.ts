// What this side tells the other of itself, for error texts and bug reports.

/** The version of this package. A test holds it to package.json. */
export const packageVersion = "0.1.0";

/** Such as `"bun-plug/0.1.0 bun/1.4.5 linux-x64"`. */
export const runtimeName = `bun-plug/${packageVersion} bun/${Bun.version} ${process.platform}-${process.arch}`;
