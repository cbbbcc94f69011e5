// Parts of a Markdown file that are written by a program stand between two marks.

/** @throws {Error} The marks are not there. */
export function partOf(text: string, name: string): string {
  const [, part] = text.match(pattern(name)) ?? [];
  if (part === undefined)
    throw new Error(`there are no marks <!-- ${name} --> … <!-- /${name} -->`);
  return part.trim();
}

/** The text with another part. @throws {Error} The marks are not there. */
export function withPart(text: string, name: string, part: string): string {
  partOf(text, name);
  // By a function, since a part may have a dollar sign in it.
  return text.replace(pattern(name), () => `<!-- ${name} -->\n\n${part}\n\n<!-- /${name} -->`);
}

function pattern(name: string): RegExp {
  return new RegExp(`<!-- ${name} -->([\\s\\S]*?)<!-- /${name} -->`);
}
