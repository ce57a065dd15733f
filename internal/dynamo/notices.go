package dynamo

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// Notices keeps the versions of legal notices, and the memory of the calls that
// published them.
type Notices struct {
	client *client
	table  string
}

var _ consent.Notices = (*Notices)(nil)

// NewNotices returns the notices in the given table.
func NewNotices(cfg aws.Config, table string) *Notices {
	return &Notices{client: newClient(cfg), table: table}
}

// Publish implements consent.Notices, in one transaction. The SDK gives all
// attempts of a call the same token, so a lost reply is not applied twice.
func (s *Notices) Publish(ctx context.Context, key string, p consent.Publication, notices []consent.Notice) (*consent.Publication, error) {
	put := func(row item, old types.ReturnValuesOnConditionCheckFailure) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{
			TableName: &s.table, Item: row,
			ConditionExpression:                 aws.String("attribute_not_exists(notice)"),
			ReturnValuesOnConditionCheckFailure: old,
		}}
	}
	actions := []types.TransactWriteItem{
		put(encodePublication(key, p), types.ReturnValuesOnConditionCheckFailureAllOld),
	}
	for i := range notices {
		actions = append(actions, put(encodeNotice(&notices[i]), types.ReturnValuesOnConditionCheckFailureNone))
	}
	_, err := s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
	var canceled *types.TransactionCanceledException
	var going *types.TransactionInProgressException
	switch {
	case errors.As(err, &canceled):
		return publicationOf(canceled)
	case errors.As(err, &going):
		return nil, consent.ErrNoticeRace
	}
	return nil, cloud.Fault("dynamodb TransactWriteItems", err)
}

// publicationOf tells why a transaction was refused: the first of its rows is
// the memory of the call, the others are versions.
func publicationOf(err *types.TransactionCanceledException) (*consent.Publication, error) {
	codes := make([]string, len(err.CancellationReasons))
	for i, reason := range err.CancellationReasons {
		codes[i] = aws.ToString(reason.Code)
	}
	const failed = "ConditionalCheckFailed"
	if len(codes) > 0 && codes[0] == failed {
		return decodePublication(err.CancellationReasons[0].Item)
	}
	for _, passing := range []string{failed, "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} {
		if slices.Contains(codes, passing) {
			return nil, consent.ErrNoticeRace
		}
	}
	return nil, cloud.Fault("dynamodb TransactWriteItems", err)
}

// Version implements consent.Notices.
func (s *Notices) Version(ctx context.Context, site, identifier string, version int) (*consent.Notice, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		ConsistentRead: aws.Bool(true),
		Key:            item{"notice": text(noticeKey(site, identifier)), "version": number(int64(version))},
	})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	n, err := decodeNotice(out.Item)
	return &n, err
}

// Versions implements consent.Notices.
func (s *Notices) Versions(ctx context.Context, site, identifier string, before, limit int) ([]consent.Notice, error) {
	in := &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("notice = :n"),
		ExpressionAttributeValues: item{":n": text(noticeKey(site, identifier))},
	}
	if before > 0 {
		in.KeyConditionExpression = aws.String("notice = :n AND version < :v")
		in.ExpressionAttributeValues[":v"] = number(int64(before))
	}
	return s.query(ctx, in, limit)
}

// List reads up to limit notices of a site, the latest first, from the index,
// which may lag behind a publication by a moment.
func (s *Notices) List(ctx context.Context, site string, r consent.NoticeRange, limit int) ([]consent.Notice, error) {
	low, high := "0", "~"
	if !r.From.IsZero() {
		low = noticeTime(r.From.Add(time.Millisecond - 1))
	}
	if !r.To.IsZero() {
		high = noticeTime(r.To) + "~"
	}
	if r.After != nil {
		// The highest text below its key: the last digit one less, then anything.
		key := noticeListed(r.After.Effective, r.After.Identifier, r.After.Version)
		last := len(key) - 1
		high = min(high, key[:last]+string(key[last]-1)+"~")
	}
	if low > high {
		return nil, nil
	}
	return s.query(ctx, &dynamodb.QueryInput{
		IndexName:                 aws.String("BySite"),
		KeyConditionExpression:    aws.String("site = :s AND listed BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{":s": text(site), ":low": text(low), ":high": text(high)},
	}, limit)
}

// query reads up to limit notices, highest key first.
func (s *Notices) query(ctx context.Context, in *dynamodb.QueryInput, limit int) ([]consent.Notice, error) {
	in.TableName = &s.table
	in.ScanIndexForward = aws.Bool(false)
	in.Limit = aws.Int32(int32(limit))
	var list []consent.Notice
	for {
		page, err := s.client.Query(ctx, in)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			n, err := decodeNotice(row)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
		}
		if len(list) >= limit || page.LastEvaluatedKey == nil {
			return list[:min(limit, len(list))], nil
		}
		in.ExclusiveStartKey = page.LastEvaluatedKey
	}
}

func encodeNotice(n *consent.Notice) item {
	row := item{
		"notice":     text(noticeKey(n.Site, n.Identifier)),
		"version":    number(int64(n.Version)),
		"site":       text(n.Site),
		"listed":     text(noticeListed(n.Effective, n.Identifier, n.Version)),
		"identifier": text(n.Identifier),
		"published":  millis(n.Published),
		"effective":  millis(n.Effective),
		"bytes":      number(int64(n.Bytes)),
	}
	row.setJSON("texts", n.Texts)
	row.setList("documents", n.DocumentIDs)
	return row
}

func decodeNotice(row item) (consent.Notice, error) {
	n := consent.Notice{
		Site:        getText(row, "site"),
		Identifier:  getText(row, "identifier"),
		Version:     int(getNumber(row, "version")),
		Bytes:       int(getNumber(row, "bytes")),
		Published:   getTime(row, "published"),
		Effective:   getTime(row, "effective"),
		DocumentIDs: getList(row, "documents"),
	}
	if getJSON(row, "texts", &n.Texts) != nil {
		return n, errs.New(errs.Internal, "a notice cannot be read")
	}
	return n, nil
}

// encodePublication makes the memory of a call: a row beside the notices, with
// a version that no notice has, and without the attributes of the index.
func encodePublication(key string, p consent.Publication) item {
	row := item{
		"notice":    text(noticeRequest(key)),
		"version":   number(0),
		"request":   &types.AttributeValueMemberB{Value: p.Request[:]},
		"published": millis(p.Published),
	}
	row.setJSON("versions", p.Versions)
	return row
}

func decodePublication(row item) (*consent.Publication, error) {
	p := &consent.Publication{Published: getTime(row, "published")}
	request, ok := row["request"].(*types.AttributeValueMemberB)
	if !ok || len(request.Value) != len(p.Request) || getJSON(row, "versions", &p.Versions) != nil {
		return nil, errs.New(errs.Internal, "the memory of a publication cannot be read")
	}
	copy(p.Request[:], request.Value)
	return p, nil
}
