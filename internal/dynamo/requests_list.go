package dynamo

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

const (
	// maxPage is the most that one page of a list shows, and what it shows when
	// the caller does not say.
	maxPage = 100
	// listBudget is how many rows of an index one List reads at most.
	listBudget = 1000
)

// List implements request.Store. Requests of an identifier come newest first,
// all others in the order of their deadline: the most urgent first where that is
// asked for, by an open state or by DueBefore, else the latest first.
//
// A page may be shorter than the limit, even empty, and yet have a next: one
// call reads a bounded number of rows. A cursor belongs to the filters that it
// was made with; one that cannot is Invalid.
func (s *Requests) List(ctx context.Context, q request.Query) (list []request.Request, next string, err error) {
	if q.Site == "" {
		return nil, "", errs.New(errs.Internal, "a list is of one site")
	}
	if q.Limit < 1 || q.Limit > maxPage {
		q.Limit = maxPage
	}
	if q.Identifier != nil {
		return s.listIdentifier(ctx, q)
	}
	in, err := s.dueQuery(q)
	if err != nil || in == nil {
		return nil, "", err
	}
	for read := 0; ; {
		out, err := s.client.Query(ctx, in)
		if err != nil {
			return nil, "", cloud.Fault("dynamodb Query", err)
		}
		for i, row := range out.Items {
			r, err := decodeRequest(row)
			if err != nil {
				return nil, "", err
			}
			list = append(list, *r)
			if len(list) == q.Limit && (i+1 < len(out.Items) || out.LastEvaluatedKey != nil) {
				return list, cursorDue.encode(getText(row, "due")), nil
			}
		}
		read += int(out.ScannedCount)
		switch in.ExclusiveStartKey = out.LastEvaluatedKey; {
		case in.ExclusiveStartKey == nil:
			return list, "", nil
		case read >= listBudget:
			return list, cursorDue.encode(getText(in.ExclusiveStartKey, "due")), nil
		}
	}
}

// dueQuery asks for requests in the order of their deadline; nil when the
// filters leave none.
func (s *Requests) dueQuery(q request.Query) (*dynamodb.QueryInput, error) {
	index, partition, value := "BySite", "siteKey", q.Site
	urgent := !q.DueBefore.IsZero()
	if q.State != "" {
		index, partition, value = "ByState", "siteState", siteState(q.Site, q.State)
		urgent = urgent || !q.State.Ended()
	}
	low, high := "0", "~"
	if !q.DueBefore.IsZero() {
		high = createdAt(q.DueBefore) // what is due at this millisecond sorts after it
	}
	if q.After != "" {
		after, err := cursorDue.decode(q.After)
		if err != nil {
			return nil, err
		}
		if urgent {
			low = after + " "
		} else {
			high = min(high, after[:len(after)-1]+string(after[len(after)-1]-1)+"~")
		}
	}
	if low > high {
		return nil, nil
	}
	in := &dynamodb.QueryInput{
		TableName: &s.table, IndexName: &index,
		KeyConditionExpression:    aws.String("#p = :p AND due BETWEEN :low AND :high"),
		ExpressionAttributeNames:  map[string]string{"#p": partition},
		ExpressionAttributeValues: item{":p": text(value), ":low": text(low), ":high": text(high)},
		ScanIndexForward:          &urgent,
		Limit:                     aws.Int32(int32(q.Limit)),
	}
	if q.Type != "" {
		in.FilterExpression, in.Limit = aws.String("#t = :t"), aws.Int32(maxPage)
		in.ExpressionAttributeNames["#t"], in.ExpressionAttributeValues[":t"] = "type", text(string(q.Type))
	}
	return in, nil
}

// listIdentifier lists the requests that know an identifier. Those that are
// forgotten do not any more.
func (s *Requests) listIdentifier(ctx context.Context, q request.Query) (list []request.Request, next string, err error) {
	normal, ok := q.Identifier.Normal()
	if !ok {
		return nil, "", errs.InvalidField("identifier", "is none that could be looked for")
	}
	before := "~"
	if q.After != "" {
		if before, err = cursorID.decode(q.After); err != nil {
			return nil, "", err
		}
	}
	key := s.hasher.Identifier(q.Site, string(q.Identifier.Kind), normal)
	for read := 0; read < listBudget; {
		ids, err := s.ofIdentifier(ctx, key, before)
		if err != nil {
			return nil, "", err
		}
		page, err := s.requests(ctx, ids)
		if err != nil {
			return nil, "", err
		}
		for i, id := range ids {
			if before = id; !matches(q, page[id]) {
				continue
			}
			list = append(list, *page[id])
			if len(list) == q.Limit && (i+1 < len(ids) || len(ids) == maxPage) {
				return list, cursorID.encode(id), nil
			}
		}
		if read += len(ids); len(ids) < maxPage {
			return list, "", nil
		}
	}
	return list, cursorID.encode(before), nil
}

// matches reports whether a request passes the filters that its index knows
// nothing of.
func matches(q request.Query, r *request.Request) bool {
	return r != nil && r.Site == q.Site && (q.State == "" || r.State == q.State) && (q.Type == "" || r.Type == q.Type) &&
		(q.DueBefore.IsZero() || r.Clock.Due.Before(q.DueBefore))
}

// ofIdentifier reads the ids of requests that know an identifier, given its key:
// newest first, below one id, at most maxPage.
func (s *Requests) ofIdentifier(ctx context.Context, key, before string) ([]string, error) {
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("ByIdentifier"),
		KeyConditionExpression:    aws.String("identifier = :k AND #r < :b"),
		ExpressionAttributeNames:  map[string]string{"#r": "request"},
		ExpressionAttributeValues: item{":k": text(key), ":b": text(before)},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(maxPage), // keys only: far from the megabyte that would cut it short
	})
	if err != nil {
		return nil, cloud.Fault("dynamodb Query", err)
	}
	var ids []string
	for _, row := range out.Items {
		ids = append(ids, getText(row, "request"))
	}
	return ids, nil
}

// requests reads the rows of requests.
func (s *Requests) requests(ctx context.Context, ids []string) (map[string]*request.Request, error) {
	var keys []item
	for _, id := range ids {
		keys = append(keys, requestRow(id, requestSort))
	}
	found := make(map[string]*request.Request, len(ids))
	err := batchGet(ctx, s.client, s.table, keys, true, func(row item) error {
		r, err := decodeRequest(row)
		found[r.ID] = r
		return err
	})
	return found, err
}

// Due implements request.Store: those that have waited longest first, the open
// ones before those that have ended. An open request without a Next is due at
// once, an ended one never.
func (s *Requests) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	ids, err := s.due(ctx, attending, now, limit)
	if err != nil || len(ids) >= limit {
		return ids, err
	}
	ended, err := s.due(ctx, lingering, now, limit-len(ids))
	return append(ids, ended...), err
}

// attention asks for the requests of one of the partitions whose time has come.
func attention(table, partition string, now time.Time, limit int) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName: &table, IndexName: aws.String("Attention"),
		KeyConditionExpression:    aws.String("attend = :a AND #n <= :now"),
		ExpressionAttributeNames:  map[string]string{"#n": "next"},
		ExpressionAttributeValues: item{":a": text(partition), ":now": text(createdAt(now))},
		Limit:                     aws.Int32(int32(min(limit, listBudget))),
	}
}

func (s *Requests) due(ctx context.Context, partition string, now time.Time, limit int) ([]string, error) {
	if limit < 1 {
		return nil, nil
	}
	pages := dynamodb.NewQueryPaginator(s.client, attention(s.table, partition, now, limit))
	var ids []string
	for pages.HasMorePages() && len(ids) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items[:min(len(page.Items), limit-len(ids))] {
			ids = append(ids, getText(row, "request"))
		}
	}
	return ids, nil
}

// cursor is the kind of place that a list goes on from.
type cursor byte

const (
	cursorDue cursor = 'd' // a deadline with the id of a request
	cursorID  cursor = 'i' // the id of a request
)

func (c cursor) encode(place string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(rune(c)) + place))
}

// decode reads a cursor of the kind; every other text is Invalid. The site is
// not part of it: a cursor never leads into another one's list.
func (c cursor) decode(s string) (place string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	place, ok := strings.CutPrefix(string(b), string(rune(c)))
	if ok && c == cursorDue {
		_, _, ok = parseDue(place)
	} else if ok {
		ok = requestID(place)
	}
	if err != nil || !ok || c.encode(place) != s { // base64 skips line breaks
		return "", errs.InvalidField("starting_after", "is no cursor of this list")
	}
	return place, nil
}
