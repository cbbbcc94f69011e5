// Makes the conformance runner start on systems with a C library older than 2.38.
//
// The package's program for Linux is linked on a newer system than, say, Debian 12. All that it
// takes from there are four functions that parse numbers, under the names that they have in C23,
// and one that sets up the C++ streams. Their older names do the same, so a copy of the program gets
// those. It is the same machine code: five names of imports differ.

const elf64 = "\x7fELF\x02\x01";

// The older name stands in the place of the newer one, so it may not be longer.
const olderNames: Record<string, string> = {
  __isoc23_strtol: "strtol",
  __isoc23_strtoul: "strtoul",
  __isoc23_strtoll: "strtoll",
  __isoc23_strtoull: "strtoull",
  // std::ios_base::Init::Init(), which does not look at its `this`.
  _ZSt21ios_base_library_initv: "_ZNSt8ios_base4InitC1Ev",
};
const olderVersions: Record<string, string> = {
  "GLIBC_2.38": "GLIBC_2.2.5",
  "GLIBCXX_3.4.32": "GLIBCXX_3.4",
};

const SectionType = { dynsym: 11, verneed: 0x6ffffffe } as const;
const symbolBytes = 24;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** A copy of the program with the older names. */
export function withOlderNames(program: Uint8Array): Uint8Array {
  const bytes = program.slice();
  const view = new DataView(bytes.buffer);
  if (new TextDecoder("latin1").decode(bytes.subarray(0, 6)) !== elf64) {
    throw new Error("not a 64-bit ELF program");
  }
  const sections = sectionsOf(view);
  const symbols = sectionOf(sections, SectionType.dynsym);
  const strings = sections[symbols.link] as Section;

  for (let at = symbols.offset; at < symbols.offset + symbols.size; at += symbolBytes) {
    const nameAt = strings.offset + view.getUint32(at, true);
    const older = olderNames[stringAt(bytes, nameAt)];
    if (older !== undefined) bytes.set(new TextEncoder().encode(`${older}\0`), nameAt);
  }

  const versions = versionsOf(view, sectionOf(sections, SectionType.verneed), strings);
  for (const [name, at] of versions) {
    const older = versions.get(olderVersions[name] ?? "");
    if (older === undefined) continue;
    view.setUint32(at, view.getUint32(older, true), true); // the hash of the name
    view.setUint32(at + 8, view.getUint32(older + 8, true), true); // the name
  }
  return bytes;
}

function sectionsOf(view: DataView): Section[] {
  const start = Number(view.getBigUint64(0x28, true));
  return Array.from({ length: view.getUint16(0x3c, true) }, (_, i) => {
    const at = start + i * 64;
    return {
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
    };
  });
}

function sectionOf(sections: readonly Section[], type: number): Section {
  const section = sections.find((candidate) => candidate.type === type);
  if (section === undefined) throw new Error(`the program has no section of type ${type}`);
  return section;
}

/** Where the program asks for each version of a library's names. */
function versionsOf(view: DataView, needs: Section, strings: Section): Map<string, number> {
  const bytes = new Uint8Array(view.buffer);
  const found = new Map<string, number>();
  for (let file = needs.offset, next = -1; next !== 0; file += next) {
    let at = file + view.getUint32(file + 8, true);
    for (let left = view.getUint16(file + 2, true); left > 0; left--) {
      found.set(stringAt(bytes, strings.offset + view.getUint32(at + 8, true)), at);
      at += view.getUint32(at + 12, true);
    }
    next = view.getUint32(file + 12, true);
  }
  return found;
}

function stringAt(bytes: Uint8Array, at: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(at, bytes.indexOf(0, at)));
}
