package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
)

// exported is what an export of a person took, from locating them to the
// finished package.
type exported struct {
	records int
	bytes   int64 // of records, as they are stored before the package is made
	took    time.Duration
	over    int64 // heap and stacks at their highest, over what was there before
}

func (x exported) String() string {
	return fmt.Sprintf("%d records, %.1f MB in %v: %.1f MB/s, peak %.1f MB over idle", x.records, float64(x.bytes)/1e6,
		x.took.Round(time.Millisecond), float64(x.bytes)/1e6/x.took.Seconds(), float64(x.over)/(1<<20))
}

// pack locates and exports a person and makes the package, as the function steps
// does, into the emulator's bucket.
func pack(t testing.TB, c *ledger.Connector, s connector.Subject, env *awstest.Env) exported {
	t.Helper()
	packages := blob.NewPackages(env.Config, env.Getenv("PACKAGES_BUCKET"))
	peak, stop := watch()
	start := time.Now()
	found, err := c.Locate(t.Context(), s)
	must(t, err)
	call := connector.Call{Request: fmt.Sprint("r-", start.UnixNano()), Operation: connector.Export, Subject: s, Now: day0}
	chunks, x := exportTo(t, c, call, packages)
	in := dossier.Input{
		Request:    &request.Request{ID: call.Request, Site: shop, Type: request.Access, Regime: request.GDPR, Received: day0},
		Controller: request.Controller{Name: "Example SAS", DPO: request.Contact{Name: "The DPO", Email: "dpo@example.test"}},
		Systems:    []connector.Inventory{c.Inventory()}, Language: "en",
		Found: []request.Found{{System: "ledger", Counts: found.Counts}},
		Steps: []request.Step{{System: "ledger", Operation: connector.Export, Phase: request.Finished, Chunk: chunks}},
	}
	built, err := (&dossier.Builder{Store: packages, Now: time.Now}).Build(t.Context(), in)
	must(t, err)
	if !built.Done || built.Package.Bytes == 0 {
		t.Fatalf("the package is not complete: %+v", built)
	}
	x.took = time.Since(start)
	stop()
	x.over = peak()
	return x
}

// exportTo writes the parts, one for each call of the connector.
func exportTo(t testing.TB, c *ledger.Connector, call connector.Call, packages *blob.Packages) (chunks int, x exported) {
	t.Helper()
	for step := c.Start; ; step = c.Poll {
		part, err := packages.Sink(t.Context(), call.Request, "ledger", chunks)
		must(t, err)
		call.Out = part
		p, err := step(t.Context(), call)
		must(t, err)
		must(t, part.Close(t.Context()))
		stored, err := packages.Part(t.Context(), call.Request, "ledger", chunks)
		must(t, err)
		x.bytes += stored.Records.Bytes
		for _, n := range stored.Counts {
			x.records += n
		}
		chunks++
		if p.Done {
			return chunks, x
		}
		call.Handle = p.Handle
	}
}

// watch samples what the heap and the stacks take until stop; peak is the
// highest, over what they took at first.
func watch() (peak func() int64, stop func()) {
	resident := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	runtime.GC()
	idle := resident()
	var highest atomic.Int64
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
				highest.Store(max(highest.Load(), resident()))
			}
		}
	}()
	return func() int64 { return highest.Load() - idle }, func() { close(over); <-watched }
}

// synthetic is the connector over a person of any number of events that no table
// holds.
func synthetic(t testing.TB, events int) (*ledger.Connector, connector.Subject) {
	t.Helper()
	hasher, err := pseudonym.New([]byte(strings.Repeat("k", pseudonym.MinSecret)))
	must(t, err)
	rows := &endless{hasher: hasher, subject: hasher.Subject(shop, "crm-1"), events: events}
	return ledger.New(ledger.Options{Rows: rows, Views: empty{}, Forms: empty{}, Texts: texts{}, Hasher: hasher,
		Inventory: connector.Inventory{System: "ledger", Kind: "ledger", Region: "eu-central-1", EEA: true}}), ledger.Identify(shop, "crm-1")
}

// perPartition bounds the emulator's work, which grows with the square of a
// partition: a person of many records has many subject ids there, up to 98 of the
// 100 partitions that one person may have.
const perPartition = 1030

// stored is the connector over a person whose consents are in the emulator's
// tables. The first of each subject id comes through the recorder, with the link
// to the e-mail; the others are copies of its row.
func stored(t testing.TB, w *world, events int) (*ledger.Connector, connector.Subject) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(4)
	client := dynamodb.NewFromConfig(w.env.Config)
	for n := 0; n*perPartition < events; n++ {
		s := submission(consent.Private, fmt.Sprint("crm-", n), ines, "true")
		s.IP, s.Proofs = "203.0.113.7", proof(strings.Repeat("was ", 15), "<form>")
		ack := w.post(s)
		row := w.row(w.partition(fmt.Sprint("crm-", n)), ack.ID)
		group.Go(func() error { return w.copies(ctx, client, row, min(perPartition, events-n*perPartition)-1) })
	}
	must(t, group.Wait())
	w.options.Inventory.Title = connector.Text{"en": "Consents"}
	return ledger.New(w.options), of(ines)
}

// row reads one row of the ledger as it is stored.
func (w *world) row(partition, id string) map[string]types.AttributeValue {
	w.t.Helper()
	table := w.env.Getenv("EVENTS_TABLE")
	out, err := dynamodb.NewFromConfig(w.env.Config).GetItem(w.t.Context(), &dynamodb.GetItemInput{TableName: &table, Key: map[string]types.AttributeValue{
		"subject": &types.AttributeValueMemberS{Value: partition}, "id": &types.AttributeValueMemberS{Value: id},
	}})
	must(w.t, err)
	if out.Item == nil {
		w.t.Fatalf("no row %s", id)
	}
	return out.Item
}

// copies writes a row n times more, under other ids.
func (w *world) copies(ctx context.Context, client *dynamodb.Client, row map[string]types.AttributeValue, n int) error {
	const batch = 25 // of BatchWriteItem
	table := w.env.Getenv("EVENTS_TABLE")
	for n > 0 {
		var puts []types.WriteRequest
		for range min(batch, n) {
			one := maps.Clone(row)
			one["id"] = &types.AttributeValueMemberS{Value: w.newID(w.now())}
			puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: one}})
		}
		out, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: puts}})
		if err != nil {
			return err
		}
		n -= len(puts) - len(out.UnprocessedItems[table])
	}
	return nil
}

// However many records a person has, making the package takes no more memory: at
// most 32 MB over idle. It runs alone, because the heap is everybody's.
func TestPack_memory(t *testing.T) {
	const goal = 32 << 20
	sizes := []int{1000, 20_000}
	if !testing.Short() {
		sizes = append(sizes, 1_000_000)
	}
	for _, events := range sizes {
		c, s := synthetic(t, events)
		x := pack(t, c, s, awstest.New(t))
		if x.records != events || x.over > goal {
			t.Errorf("%d records in the package, want %d; %d bytes over idle, want at most %d", x.records, events, x.over, goal)
		}
		t.Log(x)
	}
}

// BenchmarkPack is what make bench prints: the emulator's tables, then a
// synthetic pager.
func BenchmarkPack(b *testing.B) {
	for _, events := range []int{1000, 100_000} {
		b.Run(fmt.Sprint("emulator/", events), func(b *testing.B) {
			w := newWorld(b)
			c, s := stored(b, w, events)
			w.net.Reset()
			report(b, func() exported { return pack(b, c, s, w.env) })
		})
	}
	for _, events := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("synthetic/", events), func(b *testing.B) {
			c, s := synthetic(b, events)
			env := awstest.New(b)
			report(b, func() exported { return pack(b, c, s, env) })
		})
	}
}

func report(b *testing.B, pack func() exported) {
	var all []exported
	for b.Loop() {
		all = append(all, pack())
	}
	worst := slices.MaxFunc(all, func(x, y exported) int { return int(x.over - y.over) })
	last := all[len(all)-1]
	b.SetBytes(last.bytes)
	b.ReportMetric(float64(last.records), "records")
	b.ReportMetric(float64(worst.over)/(1<<20), "peak-MB")
}
