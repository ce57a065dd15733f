package dynamo

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// Forget implements request.Forgetter. A request that is open, or that does not
// exist, is a Conflict.
//
// The row of the request is marked first: from then on no write brings back what
// goes. The mark makes a new version, so that nobody who has read the reference
// of the channel before can write it again.
func (s *Requests) Forget(ctx context.Context, id string) error {
	if err := s.markForgotten(ctx, id); err != nil {
		return err
	}
	for _, prefix := range []string{personalSort, identifierPrefix, tokenPrefix, linkRefPrefix} {
		if err := s.deleteUnder(ctx, id, prefix); err != nil {
			return err
		}
	}
	for _, prefix := range []string{stepPrefix, foundPrefix} {
		if err := s.clearHandles(ctx, id, prefix); err != nil {
			return err
		}
	}
	return nil
}

func (s *Requests) markForgotten(ctx context.Context, id string) error {
	key := requestRow(id, requestSort)
	err := alone(ctx, "dynamodb UpdateItem", func() error {
		_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.table, Key: key,
			UpdateExpression:    aws.String("SET forgotten = :at ADD version :one REMOVE channelRef"),
			ConditionExpression: aws.String("attribute_exists(version) AND (attribute_not_exists(attend) OR attend <> :open) AND attribute_not_exists(forgotten)"),
			ExpressionAttributeValues: item{
				":at": instant(s.now()), ":one": number(1), ":open": text(attending),
			},
		})
		return err
	})
	if err != errCondition {
		return err
	}
	row, err := s.get(ctx, key)
	if err == nil && row["forgotten"] == nil {
		err = errs.New(errs.Conflict, "only a request that has ended is forgotten")
	}
	return err
}

// deleteUnder deletes the rows of a request whose sort keys begin with a prefix.
// The row that names a link goes after the link itself.
func (s *Requests) deleteUnder(ctx context.Context, id, prefix string) error {
	in := s.rowsUnder(id, prefix)
	in.ProjectionExpression = aws.String("#i")
	return s.each(ctx, in, func(row item) error {
		sort := getText(row, "item")
		if hash, ok := strings.CutPrefix(sort, linkRefPrefix); ok {
			if err := s.delete(ctx, linkRow(hash)); err != nil {
				return err
			}
		}
		return s.delete(ctx, requestRow(id, sort))
	})
}

func (s *Requests) delete(ctx context.Context, key item) error {
	return alone(ctx, "dynamodb DeleteItem", func() error {
		_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: key})
		return err
	})
}

// clearHandles removes from rows what may name records of a vendor.
func (s *Requests) clearHandles(ctx context.Context, id, prefix string) error {
	in := s.rowsUnder(id, prefix)
	in.FilterExpression = aws.String("attribute_exists(handle)")
	return s.each(ctx, in, func(row item) error {
		return alone(ctx, "dynamodb UpdateItem", func() error {
			_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: &s.table, Key: requestRow(id, getText(row, "item")),
				UpdateExpression: aws.String("REMOVE handle"),
			})
			return err
		})
	})
}

// Over implements request.Forgetter.
func (s *Requests) Over(ctx context.Context, now time.Time, after string, limit int) (ids []string, next string, err error) {
	in := attention(s.table, leaving, now, limit)
	if after != "" {
		place, err := cursorDue.decode(after)
		if err != nil {
			return nil, "", err
		}
		at, id, _ := strings.Cut(place, "#")
		in.ExclusiveStartKey = requestRow(id, requestSort)
		in.ExclusiveStartKey["attend"], in.ExclusiveStartKey["next"] = text(leaving), text(at)
	}
	out, err := s.client.Query(ctx, in)
	if err != nil {
		return nil, "", cloud.Fault("dynamodb Query", err)
	}
	for _, row := range out.Items {
		ids = append(ids, getText(row, "request"))
	}
	if last := out.LastEvaluatedKey; last != nil {
		next = cursorDue.encode(getText(last, "next") + "#" + getText(last, "request"))
	}
	return ids, next, nil
}

// Remove implements request.Forgetter. The row of the request goes last: until
// then a crash leaves it to be found again.
func (s *Requests) Remove(ctx context.Context, id string) error {
	row, err := s.get(ctx, requestRow(id, requestSort))
	if err != nil || row == nil {
		return err
	}
	if getText(row, "attend") != leaving {
		return errs.New(errs.Conflict, "only a request that nothing is left to do about is removed")
	}
	if err := s.Forget(ctx, id); err != nil {
		return err
	}
	in := s.rowsUnder(id, "")
	in.KeyConditionExpression, in.ProjectionExpression = aws.String("#r = :r"), aws.String("#i")
	delete(in.ExpressionAttributeValues, ":p")
	if err := s.each(ctx, in, func(row item) error {
		if sort := getText(row, "item"); sort != requestSort {
			return s.delete(ctx, requestRow(id, sort))
		}
		return nil
	}); err != nil {
		return err
	}
	return s.delete(ctx, requestRow(id, requestSort))
}

func (s *Requests) each(ctx context.Context, in *dynamodb.QueryInput, f func(item) error) error {
	pages := dynamodb.NewQueryPaginator(s.client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			if err := f(row); err != nil {
				return err
			}
		}
	}
	return nil
}
