// Imported first by every entry: where this package cannot work, it says so instead of failing at
// the first word that only Bun knows.

if (typeof Bun === "undefined") {
  const { versions } = process;
  throw new Error(`bun-plug needs Bun 1.4 or later; this is Node.js ${versions.node}`);
}

if (!Bun.semver.satisfies(Bun.version, ">=1.4.0")) {
  throw new Error(`bun-plug needs Bun 1.4 or later; this is Bun ${Bun.version}`);
}

export {};
