// How many connections of this process are busy. Each stands for a process at its other end, which
// wants a core.

// Long enough that a connection among many is heard of a few times in it.
const windowNs = 20_000_000;
// Whoever is heard of less often in a window leaves the cores to the others.
const busyFinds = 4;

/** What is counted of one connection. */
export interface CrowdMember {
  window: number;
  findCount: number;
}

export class Crowd {
  #window = 0;
  #endNs = 0;
  // Busy in the last window, and so far in this one.
  #before = 0;
  #now = 0;

  join(): CrowdMember {
    return { window: 0, findCount: 0 };
  }

  /** Something has come for it. */
  found(member: CrowdMember, nowNs: number): void {
    if (nowNs >= this.#endNs) {
      this.#before = nowNs - this.#endNs < windowNs ? this.#now : 0;
      this.#now = 0;
      this.#window += 1;
      this.#endNs = nowNs + windowNs;
    }
    if (member.window !== this.#window) {
      member.window = this.#window;
      member.findCount = 0;
    }
    member.findCount += 1;
    if (member.findCount === busyFinds) this.#now += 1;
  }

  /** Busy connections, of late. */
  get busyCount(): number {
    return Math.max(this.#before, this.#now);
  }
}

/** The one of this process. */
export const crowd = new Crowd();
