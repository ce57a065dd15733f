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

// Documents knows the documents of sites.
type Documents struct {
	client *client
	table  string
}

var (
	_ consent.Documents  = (*Documents)(nil)
	_ consent.References = (*Documents)(nil)
)

// NewDocuments returns the documents in the given table.
func NewDocuments(cfg aws.Config, table string) *Documents {
	return &Documents{client: newClient(cfg), table: table}
}

func documentKey(site, id string) item { return item{"site": text(site), "id": text(id)} }

// Create implements consent.Documents.
func (s *Documents) Create(ctx context.Context, d *consent.Document) (*consent.Document, error) {
	row := documentKey(d.Site, d.ID)
	row["name"] = text(d.Name)
	row["mimeType"] = text(d.MimeType)
	row["digest"] = text(d.Digest)
	row["size"] = number(int64(d.Size))
	row["created"] = millis(d.Created)
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table, Item: row,
		ConditionExpression:                 aws.String("attribute_not_exists(id)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return decodeDocument(failed.Item), nil
	}
	return nil, cloud.Fault("dynamodb PutItem", err)
}

// Get reads one document consistently; nil when there is none.
func (s *Documents) Get(ctx context.Context, site, id string) (*consent.Document, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: documentKey(site, id),
	})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return decodeDocument(out.Item), nil
}

// BatchGet reads documents consistently, by id; those that do not exist are
// left out.
func (s *Documents) BatchGet(ctx context.Context, site string, ids []string) (map[string]*consent.Document, error) {
	const most = 100 // keys of one BatchGetItem
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	found := make(map[string]*consent.Document, len(ids))
	for chunk := range slices.Chunk(ids, most) {
		keys := make([]map[string]types.AttributeValue, len(chunk))
		for i, id := range chunk {
			keys[i] = documentKey(site, id)
		}
		if err := s.batch(ctx, keys, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// batch reads up to 100 documents. What DynamoDB leaves out for lack of
// capacity is asked again, as often as the SDK would.
func (s *Documents) batch(ctx context.Context, keys []map[string]types.AttributeValue, found map[string]*consent.Document) error {
	for try := range cloud.Attempts {
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.table: {Keys: keys, ConsistentRead: aws.Bool(true)}},
		})
		if err != nil {
			return cloud.Fault("dynamodb BatchGetItem", err)
		}
		for _, row := range out.Responses[s.table] {
			d := decodeDocument(row)
			found[d.ID] = d
		}
		if keys = out.UnprocessedKeys[s.table].Keys; len(keys) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return cloud.Fault("dynamodb BatchGetItem", ctx.Err())
		case <-time.After(50 * time.Millisecond << try):
		}
	}
	return errs.New(errs.Unavailable, "dynamodb BatchGetItem: unprocessed keys")
}

// List reads up to limit documents of a site, highest id first, lower than
// before unless that is "".
func (s *Documents) List(ctx context.Context, site, before string, limit int) ([]consent.Document, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression:    aws.String("site = :s"),
		ExpressionAttributeValues: item{":s": text(site)},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(int32(limit)),
	}
	if before != "" {
		in.KeyConditionExpression = aws.String("site = :s AND id < :b")
		in.ExpressionAttributeValues[":b"] = text(before)
	}
	// A page of rows of at most 2 KB never reaches the 1 MB at which DynamoDB stops.
	out, err := s.client.Query(ctx, in)
	if err != nil {
		return nil, cloud.Fault("dynamodb Query", err)
	}
	list := make([]consent.Document, len(out.Items))
	for i, row := range out.Items {
		list[i] = *decodeDocument(row)
	}
	return list, nil
}

// MarkReferenced implements consent.References. Repeating it changes nothing.
func (s *Documents) MarkReferenced(ctx context.Context, site, id string) error {
	return s.Refer(ctx, site, id, consent.ByNotice)
}

// Refer records that a consent of a subject names a document. The row keeps the
// first two of those who name it: two of them make it shared, for good. One that
// does not exist is no error; repeating it changes nothing.
func (s *Documents) Refer(ctx context.Context, site, id, by string) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        &s.table,
		Key:              documentKey(site, id),
		UpdateExpression: aws.String("SET referenced = :true ADD referencedBy :set"),
		ConditionExpression: aws.String("attribute_exists(id) AND (attribute_not_exists(referencedBy) OR " +
			"size(referencedBy) < :two AND NOT contains(referencedBy, :by))"),
		ExpressionAttributeValues: item{
			":true": &types.AttributeValueMemberBOOL{Value: true},
			":set":  &types.AttributeValueMemberSS{Value: []string{by}},
			":by":   text(by),
			":two":  number(2),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

// Forget removes a document, unless something else names it since d was read:
// then removed is false. Its bytes are erased apart.
func (s *Documents) Forget(ctx context.Context, d *consent.Document) (removed bool, err error) {
	condition, values := "attribute_not_exists(referencedBy)", item(nil)
	if len(d.By) > 0 {
		condition, values = "referencedBy = :s", item{":s": &types.AttributeValueMemberSS{Value: d.By}}
	}
	return deleteIf(ctx, s.client, s.table, documentKey(d.Site, d.ID), condition, values)
}

func decodeDocument(row item) *consent.Document {
	return &consent.Document{
		Site:       getText(row, "site"),
		ID:         getText(row, "id"),
		Name:       getText(row, "name"),
		MimeType:   getText(row, "mimeType"),
		Digest:     getText(row, "digest"),
		Size:       int(getNumber(row, "size")),
		Created:    getTime(row, "created"),
		Referenced: getBool(row, "referenced"),
		By:         getList(row, "referencedBy"),
	}
}
