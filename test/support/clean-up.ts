// Loaded before the tests: removes what they have compiled, when all of them are through. A test
// run ends without the `exit` event of its process (Bun 1.4.5), and executables are large.

import { afterAll } from "bun:test";

import { removeTemporary } from "./compiled.ts";

afterAll(removeTemporary);
