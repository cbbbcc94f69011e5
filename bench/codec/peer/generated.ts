// The other libraries' generated code has no types that this repository's compiler settings accept,
// so it is loaded without.

export async function load(name: string): Promise<any> {
  return import(`../gen/peer/${name}`);
}
