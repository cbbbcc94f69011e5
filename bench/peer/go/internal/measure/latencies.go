package measure

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencies is an HDR histogram of nanoseconds, to three digits, up to a minute. Any goroutine may
// record.
type latencies struct {
	mutex     sync.Mutex
	histogram *hdrhistogram.Histogram
}

const longest = time.Minute

func newLatencies() *latencies {
	return &latencies{histogram: hdrhistogram.New(1, int64(longest), 3)}
}

func (l *latencies) record(span time.Duration) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	// Cannot fail within the range.
	_ = l.histogram.RecordValue(int64(min(max(span, 0), longest)))
}

// sample makes what is told of a round: the latencies, and the numbers beside them.
func (l *latencies) sample(metrics map[string]float64) (sample, error) {
	encoded, err := l.histogram.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	return sample{Latencies: string(encoded), Metrics: metrics}, err
}
