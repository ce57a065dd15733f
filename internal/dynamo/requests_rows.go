package dynamo

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// requestAttributes are all that a write replaces in the row of a request.
// "forgotten" is not one of them: it stays once it is set.
var requestAttributes = []string{
	"version", "epoch", "type", "siteKey", "siteState", "due", "attend", "next", "channelRef", "body",
}

// encodeRequest is the next row of a request, of the version after its own.
func encodeRequest(r *request.Request) item {
	row := item{
		"version":   number(int64(r.Version) + 1),
		"epoch":     number(int64(r.Epoch)),
		"type":      text(string(r.Type)),
		"siteKey":   text(r.Site),
		"siteState": text(siteState(r.Site, r.State)),
		"due":       text(dueSort(r.Clock.Due, r.ID)),
	}
	switch {
	case !r.State.Ended():
		row["attend"], row["next"] = text(attending), text(createdAt(r.Next))
	case !r.Next.IsZero():
		row["attend"], row["next"] = text(lingering), text(createdAt(r.Next))
	default:
		row["attend"], row["next"] = text(leaving), text(createdAt(r.Since))
	}
	row.setText("channelRef", r.Channel.Reference.Reveal())
	body := *r
	body.ID, body.Version, body.Epoch, body.Channel.Reference = "", 0, 0, ""
	row.setBody(body)
	return row
}

func decodeRequest(row item) (*request.Request, error) {
	r := &request.Request{}
	err := getBody(row, r)
	r.ID, r.Version, r.Epoch = getText(row, "request"), int(getNumber(row, "version")), int(getNumber(row, "epoch"))
	r.Channel.Reference = redact.String(getText(row, "channelRef"))
	return r, err
}

// bodyRow is a row that nothing but its key is known by.
func bodyRow(id, sort string, v any) item {
	row := requestRow(id, sort)
	row.setBody(v)
	return row
}

func encodeKnown(id string, k request.Known) item {
	row := bodyRow(id, identifierPrefix+k.Key, k)
	row["identifier"] = text(k.Key)
	return row
}

func encodeStep(id string, s request.Step) item {
	handle, version := s.Handle, s.Version
	s.Handle, s.Version = "", 0
	row := bodyRow(id, stepSort(s), s)
	row["version"], row["epoch"] = number(int64(version)+1), number(int64(s.Epoch))
	row.setText("handle", handle)
	return row
}

func decodeStep(row item, s *request.Step) error {
	err := getBody(row, s)
	s.Handle, s.Version, s.Epoch = getText(row, "handle"), int(getNumber(row, "version")), int(getNumber(row, "epoch"))
	return err
}

func encodeFound(id string, f request.Found) item {
	handle := f.Handle
	f.Handle = ""
	row := bodyRow(id, foundPrefix+f.System, f)
	row.setText("handle", handle)
	return row
}

func decodeFound(row item, f *request.Found) error {
	err := getBody(row, f)
	f.Handle = getText(row, "handle")
	return err
}

func encodeDecision(id string, d *request.Decision) item {
	body := *d
	body.Delivered = time.Time{}
	row := bodyRow(id, decisionPrefix+string(d.Wait), body)
	row.setInstant("delivered", d.Delivered)
	return row
}

func decodeDecision(row item, d *request.Decision) error {
	err := getBody(row, d)
	d.Delivered = getInstant(row, "delivered")
	return err
}

// setInstant keeps a time to the nanosecond, and nothing for the zero time.
func (r item) setInstant(name string, t time.Time) {
	if !t.IsZero() {
		r[name] = instant(t)
	}
}

// get reads one row consistently; nil when there is none.
func (s *Requests) get(ctx context.Context, key item) (item, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, ConsistentRead: aws.Bool(true), Key: key})
	if err != nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return out.Item, nil
}

// Get implements request.Store.
func (s *Requests) Get(ctx context.Context, id string) (*request.Request, error) {
	if !requestID(id) {
		return nil, errNoRequest()
	}
	row, err := s.get(ctx, requestRow(id, requestSort))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, errNoRequest()
	}
	r, err := decodeRequest(row)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func errNoRequest() error { return errs.New(errs.NotFound, "the request does not exist") }

// rowsOf reads the rows of a request whose sort keys begin with a prefix, in
// their order and consistently.
func rowsOf[T any](ctx context.Context, s *Requests, id, prefix string, decode func(item, *T) error) ([]T, error) {
	pages := dynamodb.NewQueryPaginator(s.client, s.rowsUnder(id, prefix))
	var list []T
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			var v T
			if err := decode(row, &v); err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
	return list, nil
}

func (s *Requests) rowsUnder(id, prefix string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName:                 &s.table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#r = :r AND begins_with(#i, :p)"),
		ExpressionAttributeNames:  map[string]string{"#r": "request", "#i": "item"},
		ExpressionAttributeValues: item{":r": text(id), ":p": text(prefix)},
	}
}

// rowOf reads one row of a request; nil when there is none.
func rowOf[T any](ctx context.Context, s *Requests, key item, decode func(item, *T) error) (*T, error) {
	row, err := s.get(ctx, key)
	if err != nil || row == nil {
		return nil, err
	}
	v := new(T)
	if err := decode(row, v); err != nil {
		return nil, err
	}
	return v, nil
}

// body decodes a row that is all body.
func body[T any](row item, v *T) error { return getBody(row, v) }

// Personal implements request.Store. It is empty once the request is forgotten.
func (s *Requests) Personal(ctx context.Context, id string) (request.Personal, error) {
	p, err := rowOf(ctx, s, requestRow(id, personalSort), body[request.Personal])
	if err != nil || p == nil {
		return request.Personal{}, err
	}
	return *p, nil
}

// Known implements request.Store.
func (s *Requests) Known(ctx context.Context, id string) ([]request.Known, error) {
	return rowsOf(ctx, s, id, identifierPrefix, body[request.Known])
}

// Steps implements request.Store.
func (s *Requests) Steps(ctx context.Context, id string) ([]request.Step, error) {
	return rowsOf(ctx, s, id, stepPrefix, decodeStep)
}

// Found implements request.Store.
func (s *Requests) Found(ctx context.Context, id string) ([]request.Found, error) {
	return rowsOf(ctx, s, id, foundPrefix, decodeFound)
}

// Tasks implements request.Store.
func (s *Requests) Tasks(ctx context.Context, id string) ([]request.Task, error) {
	return rowsOf(ctx, s, id, taskPrefix, body[request.Task])
}

// Decisions implements request.Store.
func (s *Requests) Decisions(ctx context.Context, id string) ([]request.Decision, error) {
	return rowsOf(ctx, s, id, decisionPrefix, decodeDecision)
}

// Decision implements request.Store.
func (s *Requests) Decision(ctx context.Context, id string, w request.Wait) (*request.Decision, error) {
	return rowOf(ctx, s, requestRow(id, decisionPrefix+string(w)), decodeDecision)
}

// Token implements request.Store.
func (s *Requests) Token(ctx context.Context, id string, w request.Wait) (*request.Token, error) {
	return rowOf(ctx, s, requestRow(id, tokenPrefix+string(w)), body[request.Token])
}

// Mail implements request.Store.
func (s *Requests) Mail(ctx context.Context, id, key string) (*request.Mail, error) {
	return rowOf(ctx, s, requestRow(id, mailPrefix+key), decodeMail)
}

// maxEntries is how many entries of a log are read at once.
const maxEntries = 1000

// Log implements request.Store: entries after the one with the id after, oldest
// first, at most 1,000.
func (s *Requests) Log(ctx context.Context, id, after string, limit int) ([]request.Entry, error) {
	if limit < 1 || limit > maxEntries {
		limit = maxEntries
	}
	in := s.rowsUnder(id, "")
	in.KeyConditionExpression = aws.String("#r = :r AND #i BETWEEN :low AND :high")
	in.Limit = aws.Int32(int32(limit))
	in.ExpressionAttributeValues = item{
		":r": text(id), ":low": text(logPrefix + after + " "), ":high": text(logPrefix + "~"),
	}
	pages := dynamodb.NewQueryPaginator(s.client, in)
	var list []request.Entry
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items[:min(len(page.Items), limit-len(list))] {
			var e request.Entry
			if err := getBody(row, &e); err != nil {
				return nil, err
			}
			e.ID = strings.TrimPrefix(getText(row, "item"), logPrefix)
			list = append(list, e)
		}
	}
	return list, nil
}
