package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/outbox"
)

const (
	figured  = 5000 // entries of a name that are counted, the latest first
	failures = 20   // of these are listed
)

// Figures counts the entries of a site by name: what was told since an instant,
// what could not be told, and what waits. names are those of which something is
// said in any case. It reads indexes, which may lag behind by a moment.
func (s *Outbox) Figures(ctx context.Context, site string, names []outbox.Ref, since time.Time) ([]outbox.Figure, error) {
	list := make([]outbox.Figure, len(names))
	of := map[string]*outbox.Figure{}
	for i, r := range names {
		f := &list[i]
		f.Kind = r.Kind
		if r.Kind == outbox.Mark {
			f.System = r.ID
		}
		of[r.Name()] = f
		var effects []time.Duration
		more, err := s.ended(ctx, told(r, outbox.Done), since, func(row item) {
			if getText(row, "site") == site {
				f.Told++
				effects = append(effects, time.Duration(getNumber(row, "effect"))*time.Millisecond)
			}
		})
		if err != nil {
			return nil, err
		}
		f.P50, f.P99 = outbox.Percentile(effects, 50), outbox.Percentile(effects, 99)
		lost, err := s.ended(ctx, told(r, outbox.Failed), since, func(row item) {
			if getText(row, "site") != site {
				return
			}
			if f.Failed++; f.Failed <= failures {
				f.Failures = append(f.Failures, outbox.Failure{At: getTime(row, "ended"), Subject: getText(row, "subject"), Reason: getText(row, "reason")})
			}
		})
		if err != nil {
			return nil, err
		}
		f.More = more || lost
	}
	more, err := s.rows(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("Waiting"), KeyConditionExpression: aws.String("waits = :w"),
		ExpressionAttributeValues: item{":w": text(waiting)},
	}, func(row item) {
		r, err := outbox.ParseRef(getText(row, "subject"), getText(row, "entry"))
		f := of[r.Name()]
		if err != nil || f == nil || getText(row, "site") != site {
			return
		}
		f.Waiting++
		if at := getTime(row, "since"); f.Oldest.IsZero() || at.Before(f.Oldest) {
			f.Oldest = at
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].More = list[i].More || more
	}
	return list, nil
}

// ended goes through the entries that ended in one way, the latest first.
func (s *Outbox) ended(ctx context.Context, told string, since time.Time, take func(item)) (more bool, err error) {
	return s.rows(ctx, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: aws.String("Told"), ScanIndexForward: aws.Bool(false),
		KeyConditionExpression:    aws.String("told = :t AND ended >= :since"),
		ExpressionAttributeValues: item{":t": text(told), ":since": millis(since)},
	}, take)
}

// rows reads an index; more: it holds more than is counted.
func (s *Outbox) rows(ctx context.Context, in *dynamodb.QueryInput, take func(item)) (more bool, err error) {
	in.Limit = aws.Int32(1000)
	pages := dynamodb.NewQueryPaginator(s.client, in)
	for n := 0; pages.HasMorePages(); {
		if n >= figured {
			return true, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			take(row)
		}
		n += len(page.Items)
	}
	return false, nil
}
