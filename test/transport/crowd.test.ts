// How many connections are busy: by what is found when.

import { expect, test } from "bun:test";

import { Crowd, type CrowdMember } from "../../src/transport/crowd.ts";

const msInNs = 1_000_000;
// As src/transport/crowd.ts has them.
const windowMs = 20;
const busyFinds = 4;

/** Something is found so often for each of them, at that moment. */
function find(crowd: Crowd, members: readonly CrowdMember[], count: number, atMs: number): void {
  for (const member of members) {
    for (let i = 0; i < count; i++) crowd.found(member, atMs * msInNs);
  }
}

function crowdOf(count: number): { readonly crowd: Crowd; readonly members: CrowdMember[] } {
  const crowd = new Crowd();
  return { crowd, members: Array.from({ length: count }, () => crowd.join()) };
}

test("a crowd in which nothing has been found has nobody busy", () => {
  expect(crowdOf(10).crowd.busyCount).toBe(0);
});

test("each member for which enough is found in a window is counted once", () => {
  const { crowd, members } = crowdOf(10);
  find(crowd, members.slice(0, 7), 100 * busyFinds, 1_000);
  expect(crowd.busyCount).toBe(7);
});

test("whoever is heard of now and then is not counted, however long it goes on", () => {
  const { crowd, members } = crowdOf(10);
  for (let ms = 1_000; ms < 2_000; ms += windowMs) find(crowd, members, busyFinds - 1, ms);
  expect(crowd.busyCount).toBe(0);
});

test("the count of the last window holds until this one has more", () => {
  const { crowd, members } = crowdOf(10);
  find(crowd, members, busyFinds, 1_000);
  find(crowd, members.slice(0, 2), busyFinds, 1_000 + windowMs);
  expect(crowd.busyCount).toBe(10);
  find(crowd, members.slice(0, 2), busyFinds, 1_000 + 2 * windowMs);
  expect(crowd.busyCount).toBe(2);
});

test("after a pause the count begins anew", () => {
  const { crowd, members } = crowdOf(10);
  find(crowd, members, busyFinds, 1_000);
  find(crowd, members.slice(0, 1), busyFinds, 1_000 + 3 * windowMs);
  expect(crowd.busyCount).toBe(1);
});
