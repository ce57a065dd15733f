package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
)

// Erasures remembers, by keyed hashes, whom an erasure has removed.
type Erasures struct {
	client *client
	table  string
}

var _ consent.Erasures = (*Erasures)(nil)

// NewErasures returns the erasures in the given table.
func NewErasures(cfg aws.Config, table string) *Erasures {
	return &Erasures{client: newClient(cfg), table: table}
}

// Put implements consent.Erasures: the latest erasure of a key stays, whatever
// the order in which they arrive. Repeating it changes nothing. Keys are written
// one after the other; when one fails, those before it are remembered.
func (s *Erasures) Put(ctx context.Context, keys []string, at time.Time, request, site string) error {
	for _, key := range unique(keys) {
		_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                &s.table,
			Key:                      erasureKey(key),
			UpdateExpression:         aws.String("SET erased_at = :a, #r = :r, site = :s"),
			ConditionExpression:      aws.String("attribute_not_exists(erased_at) OR erased_at < :a"),
			ExpressionAttributeNames: map[string]string{"#r": "request"},
			ExpressionAttributeValues: item{
				":a": millis(at), ":r": text(request), ":s": text(site),
			},
		})
		var failed *types.ConditionalCheckFailedException
		if err != nil && !errors.As(err, &failed) {
			return cloud.Fault("dynamodb UpdateItem", err)
		}
	}
	return nil
}

// Erased implements consent.Erasures, consistently, a hundred keys with each
// call.
func (s *Erasures) Erased(ctx context.Context, keys []string) (map[string]time.Time, error) {
	found := map[string]time.Time{}
	var ask []item
	for _, key := range unique(keys) {
		ask = append(ask, erasureKey(key))
	}
	err := batchGet(ctx, s.client, s.table, ask, true, func(row item) error {
		found[getText(row, "identifier")] = getTime(row, "erased_at")
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// unique leaves out repetitions and what can be no key.
func unique(keys []string) []string {
	list := slices.Compact(slices.Sorted(slices.Values(keys)))
	return slices.DeleteFunc(list, func(key string) bool { return key == "" })
}

// revived is the row that names partitions where something is back that an
// erasure covers. No keyed hash is spelled like it.
const revived = "~revived"

// maxRevived bounds that row to about 100 KB; what does not fit is found by
// going through the whole ledger (scripts/reapply).
const maxRevived = 2000

// Revive notes that a partition must be erased again.
func (s *Erasures) Revive(ctx context.Context, site, subject string) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &s.table,
		Key:                 erasureKey(revived),
		UpdateExpression:    aws.String("ADD revived :p"),
		ConditionExpression: aws.String("attribute_not_exists(revived) OR size(revived) < :most"),
		ExpressionAttributeValues: item{
			":p":    &types.AttributeValueMemberSS{Value: []string{site + "#" + subject}},
			":most": number(maxRevived),
		},
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb UpdateItem", err)
}

// Revivals lists the partitions that must be erased again.
func (s *Erasures) Revivals(ctx context.Context) ([]consent.Revived, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, ConsistentRead: aws.Bool(true), Key: erasureKey(revived)})
	if err != nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	var list []consent.Revived
	for _, p := range getList(out.Item, "revived") {
		site, subject, _ := strings.Cut(p, "#")
		list = append(list, consent.Revived{Site: site, Subject: subject})
	}
	slices.SortFunc(list, func(a, b consent.Revived) int { return strings.Compare(a.Site+"#"+a.Subject, b.Site+"#"+b.Subject) })
	return list, nil
}

// Settled notes that a partition has been erased again.
func (s *Erasures) Settled(ctx context.Context, r consent.Revived) error {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:        &s.table,
		Key:              erasureKey(revived),
		UpdateExpression: aws.String("DELETE revived :p"),
		ExpressionAttributeValues: item{
			":p": &types.AttributeValueMemberSS{Value: []string{r.Site + "#" + r.Subject}},
		},
	})
	return cloud.Fault("dynamodb UpdateItem", err)
}
