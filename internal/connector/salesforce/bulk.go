package salesforce

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// jobPause is how long a job is left to work before it is asked for again: a
// small one is done within seconds, a large one takes minutes.
func jobPause(asked int) time.Duration {
	return min(soon<<min(2*asked+1, 6), 30*time.Second)
}

// job is what Bulk API 2.0 says of one.
type job struct {
	ID        string `json:"id"`
	State     string `json:"state"`
	Processed int    `json:"numberRecordsProcessed"`
	Failed    int    `json:"numberRecordsFailed"`
}

// startJob hard deletes the first batch of the queue, which is in the bin. A job
// that was made by an attempt whose answer was lost has no data and does
// nothing; one that has, finds its records deleted.
func (c *Connector) startJob(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	b := w.Queue[0]
	a, err := c.do(ctx, kit.Call{
		Method: http.MethodPost, Route: kit.To("/jobs/ingest"), ExpectCodes: []string{mayNotHard, "INVALIDENTITY", "INVALIDJOB"},
		Body: map[string]string{"object": b.Object, "operation": "hardDelete", "contentType": "CSV", "lineEnding": "LF"},
	})
	if err != nil {
		return connector.Progress{}, err
	}
	if a.Status >= 300 {
		return connector.Progress{Handle: kit.Handle(w), Ask: &connector.Ask{
			Retry: true, Reason: "the connector's user may not hard delete records of " + b.Object + ": they are in Salesforce's Recycle Bin",
			Instructions: "Give the connector's user the permission Bulk API Hard Delete, or name the object in config.bin if Salesforce hard deletes none of it: its records stay in the bin for 15 days. Then choose retry.",
		}}, nil
	}
	var j job
	if err := a.JSON(&j); err != nil {
		return connector.Progress{}, err
	}
	if !isID(j.ID) {
		return connector.Progress{}, errs.New(errs.Internal, "%s POST /jobs/ingest: the job has no id", c.inventory.System)
	}
	text := "Id\n" + strings.Join(b.IDs, "\n") + "\n"
	if _, err := c.do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/jobs/ingest/{id}/batches", j.ID), CSV: text, ExpectCodes: []string{jobState}}); err != nil {
		return connector.Progress{}, err
	}
	// A job that has its data already refuses them a second time; whether it has
	// all is seen from its numbers in the end. The same holds for closing it.
	if _, err := c.do(ctx, kit.Call{Method: http.MethodPatch, Route: kit.To("/jobs/ingest/{id}", j.ID), Body: map[string]string{"state": "UploadComplete"}, Repeatable: true, ExpectCodes: []string{jobState}}); err != nil {
		return connector.Progress{}, err
	}
	w.Job = j.ID
	return connector.Progress{Handle: kit.Handle(w), After: jobPause(0), Evidence: []connector.Evidence{said(call.Now, "POST /jobs/ingest", "hardDelete of "+b.Object+", job "+kit.Token(j.ID))}}, nil
}

// pollJob looks after a job. One that is complete has succeeded only if no row
// has failed and all were processed.
func (c *Connector) pollJob(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	if len(w.Queue) == 0 {
		return connector.Progress{}, errs.New(errs.Invalid, "system %q: the handle names a job without records", c.inventory.System)
	}
	b, id := w.Queue[0], w.Job
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/jobs/ingest/{id}", id)})
	if err != nil {
		return connector.Progress{}, err
	}
	var j job
	if err := a.JSON(&j); err != nil {
		return connector.Progress{}, err
	}
	failed := map[string]int{}
	switch j.State {
	case "Open", "UploadComplete", "InProgress":
		w.Asked++
		return connector.Progress{Handle: kit.Handle(w), After: jobPause(w.Asked)}, nil
	case "JobComplete":
		if failed, err = c.failedRows(ctx, j); err != nil {
			return connector.Progress{}, err
		}
		if j.Processed < len(b.IDs) {
			failed["no result"] = len(b.IDs) - j.Processed
		}
	case "Failed", "Aborted":
		failed[j.State] = len(b.IDs)
	default:
		return connector.Progress{}, errs.New(errs.Internal, "%s GET /jobs/ingest/{id}: the job has an unknown state", c.inventory.System)
	}
	w.Job, w.Asked = "", 0
	progress := connector.Progress{After: soon, Evidence: []connector.Evidence{
		said(call.Now, "GET /jobs/ingest/{id}", fmt.Sprintf("%s, %d processed, %d failed, job %s", kit.Token(j.State), j.Processed, j.Failed, kit.Token(id))),
	}}
	if len(failed) > 0 {
		progress.Ask = blocked(b.Object, failed)
	} else {
		w.Queue = w.Queue[1:]
	}
	progress.Handle = kit.Handle(w)
	return progress, nil
}

// failedRows counts the rows of a job that have failed, by the code of each.
// Rows whose record was deleted for good with another one are none.
func (c *Connector) failedRows(ctx context.Context, j job) (map[string]int, error) {
	if j.Failed == 0 {
		return map[string]int{}, nil
	}
	api, err := c.session.client(ctx)
	if err != nil {
		return nil, err
	}
	f, err := api.Open(ctx, "/jobs/ingest/failedResults", c.link("jobs", "ingest", j.ID, "failedResults"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	failed, n, err := failures(f)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "%s GET /jobs/ingest/failedResults: the CSV is not as documented", c.inventory.System)
	}
	if n < j.Failed {
		failed["unknown reason"] = j.Failed - n
	}
	return failed, nil
}

var errResults = errors.New("no results of a job")

// failures reads the failed results of a job: how many rows there are, and those
// that count, by code.
func failures(r io.Reader) (failed map[string]int, n int, err error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	header, err := rows.Read()
	if err != nil || len(header) < 2 || header[1] != "sf__Error" {
		return nil, 0, errResults
	}
	failed = map[string]int{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return failed, n, nil
		}
		if err != nil || len(row) < 2 {
			return nil, 0, errResults
		}
		n++
		switch code, _, _ := strings.Cut(row[1], ":"); code {
		case isDeleted, notFound, "INVALID_CROSS_REFERENCE_KEY":
		default:
			failed[kit.Token(code)]++
		}
	}
}
