// Import names in an order that is the same on every machine.
//
// protoplugin sorts them with `localeCompare`, which asks the machine's locale, so it is done over
// again by code units.

// Only an import statement starts a line like this: in comments a "//" or " *" comes first, and
// what else we print never starts with "import".
const importNames = /^(import (?:type )?\{ )(.+)( \} from ".*";)$/gm;

export function sortImports(content: string): string {
  return content.replace(importNames, (_, before: string, names: string, after: string) => {
    return before + names.split(", ").sort().join(", ") + after;
  });
}
