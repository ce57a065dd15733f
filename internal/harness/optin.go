package harness

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/propagate"
	"github.com/avow-consent/avow/scripts/local/streams"
)

// Stream lets project follow the ledger and propagate the outbox, until the test
// ends.
func (w *World) Stream(t testing.TB) {
	t.Helper()
	for function, of := range map[string]struct {
		table string
		build component
	}{"project": {"EVENTS_TABLE", project.New}, "propagate": {"OUTBOX_TABLE", propagate.New}} {
		handler, err := of.build(t.Context(), w.newBase(t, function))
		if err != nil {
			t.Fatal(err)
		}
		arn, err := streams.LatestStream(t.Context(), dynamodb.NewFromConfig(w.Env.Config), w.Env.Getenv(of.table))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = streams.Run(ctx, streams.Config{ // ends with ctx
				Reader: dynamodbstreams.NewFromConfig(w.Env.Config), StreamARN: arn, Function: function, Handler: handler,
				Timeout: time.Minute, ReportBatchItemFailures: true, BisectBatchOnFunctionError: true, MaximumRetryAttempts: 20,
			})
		}()
		t.Cleanup(func() { cancel(); <-done })
	}
}

// OptIn is the job that asks people to confirm consents, as a fresh instance of a
// function has it.
func (w *World) OptIn(t testing.TB) *optin.Job {
	t.Helper()
	q, err := w.newBase(t, "requests").Requesting(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	office, err := q.PostOffice()
	if err != nil {
		t.Fatal(err)
	}
	job, err := office.OptIn(nil)
	if err != nil {
		t.Fatal(err)
	}
	return job
}
