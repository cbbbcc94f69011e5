// Every number that a result can have: what it is, how it is written, and which way is better.
// Tables, charts and the check of a results file all read this list; README.md repeats it, and a
// test holds the two together.

export type Unit = "ns" | "per_s" | "bytes" | "bytes_per_s" | "count" | "share";

export interface Metric {
  readonly label: string;
  readonly unit: Unit;
  readonly better: "lower" | "higher";
  readonly means: string;
}

function metric(label: string, unit: Unit, means: string): Metric {
  const isHigherBetter = unit === "per_s" || unit === "bytes_per_s" || unit === "count";
  return { label, unit, better: isHigherBetter ? "higher" : "lower", means };
}

export const metrics = {
  calls_per_s: metric("calls/s", "per_s", "calls that were answered, per second"),
  messages_per_s: metric("messages/s", "per_s", "elements of a stream, per second"),
  bytes_per_s: metric("bytes/s", "bytes_per_s", "payload in the direction that is measured"),
  p50_ns: metric("p50", "ns", "half of the calls took no longer"),
  p90_ns: metric("p90", "ns", "nine in ten took no longer"),
  p99_ns: metric("p99", "ns", "99 in 100 took no longer"),
  p999_ns: metric("p99.9", "ns", "999 in 1,000 took no longer"),
  max_ns: metric("max", "ns", "the longest of all"),
  mean_ns: metric("mean", "ns", "the sum, divided by the calls"),
  host_cpu_ns: metric("host CPU/call", "ns", "processor time of the host, divided by the calls"),
  plugin_cpu_ns: metric("plugin CPU/call", "ns", "processor time of the plugin, likewise"),
  host_cpu_share: metric("host CPU", "share", "processor time of the host, in parts of one core"),
  plugin_cpu_share: metric("plugin CPU", "share", "the same of one plugin"),
  host_rss_bytes: metric("host RSS", "bytes", "most memory that the host held"),
  plugin_rss_bytes: metric("plugin RSS", "bytes", "most memory that the plugin held"),
  plugin_pss_bytes: metric("plugin PSS", "bytes", "the same, shared pages counted in parts"),
  host_growth_bytes: metric("host growth", "bytes", "how much more than before the load"),
  plugin_growth_bytes: metric("plugin growth", "bytes", "the same of the plugin"),
  plugins: metric("plugins", "count", "plugins loaded"),
  streams: metric("streams", "count", "streams open beside the calls"),
  elements: metric("elements", "count", "elements that the producer was asked for"),
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;

export const metricNames = Object.keys(metrics) as readonly MetricName[];

export type Metrics = Readonly<Partial<Record<MetricName, number>>>;
