// One output file of `codec=only`: a codec for each message of a .proto file, and two functions.

import type { DescFile, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import type { GeneratedFile } from "@bufbuild/protoplugin";

import { codecPath, NameScope, usedGlobals } from "../names.ts";
import { codecPrint } from "./messages.ts";
import { printCodec, printFunctions } from "./print.ts";

/** Prints nothing for a file without messages, and protoplugin then leaves the file out. */
// prettier-ignore
export function printCodecFile(f: GeneratedFile, file: DescFile): void {
  f.preamble(file);
  const messages = messagesOf(file);
  if (messages.length === 0) return;

  const scope = new NameScope(usedGlobals);
  const print = codecPrint(f, codecPath, messages, scope);
  // protobuf-es has its names from these too, so they differ from each other.
  for (const [index, message] of messages.entries()) {
    const Shape = f.importShape(message);
    const codec = scope.take(`${Shape.name}Codec`);
    if (index > 0) f.print();
    f.print(f.jsDoc(message));
    printCodec(print, message, f.export("const", codec));
    f.print();
    f.print("/** The bytes of a {@link ", Shape.name, "}. */");
    f.print(f.export("function", scope.take(`encode${Shape.name}`)), "(message: ", Shape, "): Uint8Array {");
    f.print("  const bytes = ", f.import("allocate", codecPath), "(", codec, ".size(message));");
    f.print("  ", codec, ".write(message, bytes, 0);");
    f.print("  return bytes;");
    f.print("}");
    f.print();
    f.print("/** The {@link ", Shape.name, "} of its bytes. */");
    f.print(
      f.export("function", scope.take(`decode${Shape.name}`)),
      "(bytes: Uint8Array): ",
      Shape,
      " {",
    );
    f.print("  return ", codec, ".read(bytes, 0, bytes.length, false);");
    f.print("}");
  }
  printFunctions(print);
}

// Entries of maps are messages too, but protobuf-es does not show them.
function messagesOf(file: DescFile): DescMessage[] {
  return [...nestedTypes(file)].filter((type) => type.kind === "message");
}
