package project

import (
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/stream"
)

// A change is what a record of the stream says.
type change struct {
	subject string // partition
	id      string // sort key: of a consent, its id
	site    string // "" when the record does not name it
	bound   string // partition that a binding row binds to the subject's
	added   bool   // a new row
	// statement is the id of a row that is a statement about the person; "" for
	// every other row.
	statement string
	waits     bool      // a new consent that waits for its confirmation
	received  time.Time // with waits
	tampered  bool      // a row was changed or removed, and not by an erasure
}

var errRecord = errs.New(errs.Invalid, "the record names no row of the ledger")

// parse reads a record.
func (p *projector) parse(r events.DynamoDBEventRecord) (change, error) {
	c := change{subject: stream.Text(r.Change.Keys, "subject"), id: stream.Text(r.Change.Keys, "id")}
	if c.subject == "" || c.id == "" {
		return c, errRecord
	}
	if c.site = stream.Text(r.Change.NewImage, "site"); c.site == "" {
		c.site = stream.Text(r.Change.OldImage, "site")
	}
	if bound, ok := p.bound(c.id); ok {
		c.bound = bound
	}
	if _, id, found := strings.Cut(c.id, "#"); found && !consent.IDTime(id).IsZero() {
		c.statement = id
	}
	c.added = r.EventName == string(events.DynamoDBOperationTypeInsert)
	if _, waits := r.Change.NewImage["optIn"]; waits && c.added {
		c.waits = true
		if ms := stream.Number(r.Change.NewImage, "received"); ms != 0 {
			c.received = time.UnixMilli(ms).UTC()
		}
	}
	c.tampered = !c.added && !tombstone(r.Change.NewImage)
	return c, nil
}

// tombstone reports whether a row is what erasure leaves: it says when, and
// nothing of what was there.
func tombstone(image map[string]events.DynamoDBAttributeValue) bool {
	for name := range image {
		switch name {
		case "subject", "id", "site", "erased_at":
		default:
			return false
		}
	}
	at, ok := image["erased_at"]
	return ok && at.DataType() == events.DataTypeNumber
}
