package emulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrettypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

// Provision creates what the template declares. What exists already stays as it
// is, with its content; an existing table gets the indexes, stream and expiry
// that the template has meanwhile.
func Provision(ctx context.Context, cfg aws.Config, stack *cfn.Stack) error {
	group, ctx := errgroup.WithContext(ctx)
	each(ctx, group, stack.Tables, dynamodb.NewFromConfig(cfg), table)
	each(ctx, group, stack.Buckets, s3.NewFromConfig(cfg), bucket)
	each(ctx, group, stack.Queues, sqs.NewFromConfig(cfg), queue)
	each(ctx, group, stack.Secrets, secretsmanager.NewFromConfig(cfg), secret)
	each(ctx, group, stack.Keys, kms.NewFromConfig(cfg), signingKey)
	each(ctx, group, stack.Senders, sesv2.NewFromConfig(cfg), sender)
	if len(stack.Senders) > 0 {
		each(ctx, group, Domains, sesv2.NewFromConfig(cfg), identity)
	}
	return group.Wait()
}

func each[C, R any](ctx context.Context, group *errgroup.Group, resources []R, client C, create func(context.Context, C, R) error) {
	for _, resource := range resources {
		group.Go(func() error { return create(ctx, client, resource) })
	}
}

func table(ctx context.Context, db *dynamodb.Client, t cfn.Table) error {
	input := &dynamodb.CreateTableInput{
		TableName:            &t.Name,
		BillingMode:          dynamotypes.BillingModePayPerRequest,
		KeySchema:            keySchema(t.KeySchema),
		AttributeDefinitions: attributes(t.AttributeDefinitions),
		StreamSpecification:  streamSpecification(t.StreamSpecification),
	}
	for _, index := range t.GlobalSecondaryIndexes {
		input.GlobalSecondaryIndexes = append(input.GlobalSecondaryIndexes, dynamotypes.GlobalSecondaryIndex{
			IndexName: aws.String(index.IndexName), KeySchema: keySchema(index.KeySchema), Projection: projection(index),
		})
	}
	_, err := db.CreateTable(ctx, input)
	if exists := (*dynamotypes.ResourceInUseException)(nil); errors.As(err, &exists) {
		err = updateTable(ctx, db, t)
	}
	if err != nil {
		return fmt.Errorf("creating table %s: %w", t.Name, err)
	}
	return expiry(ctx, db, t)
}

// updateTable brings a table of an earlier run to what the template says now.
func updateTable(ctx context.Context, db *dynamodb.Client, t cfn.Table) error {
	described, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.Name})
	if err != nil {
		return err
	}
	found := described.Table
	if describeKey(found.KeySchema, found.AttributeDefinitions) != describeKey(keySchema(t.KeySchema), attributes(t.AttributeDefinitions)) {
		return errors.New("the kept table has another key than template.yaml: `make reset` forgets the old data")
	}
	if found.StreamSpecification == nil && t.StreamSpecification.StreamViewType != "" {
		if _, err := db.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: &t.Name, StreamSpecification: streamSpecification(t.StreamSpecification)}); err != nil {
			return err
		}
	}
	kept := map[string]string{}
	for _, index := range found.GlobalSecondaryIndexes {
		kept[*index.IndexName] = describeKey(index.KeySchema, found.AttributeDefinitions) + describeProjection(index.Projection)
	}
	update := func(change dynamotypes.GlobalSecondaryIndexUpdate) error {
		_, err := db.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName: &t.Name, AttributeDefinitions: attributes(t.AttributeDefinitions),
			GlobalSecondaryIndexUpdates: []dynamotypes.GlobalSecondaryIndexUpdate{change},
		})
		return err
	}
	for _, index := range t.GlobalSecondaryIndexes {
		old, exists := kept[index.IndexName]
		delete(kept, index.IndexName)
		if exists && old == describeKey(keySchema(index.KeySchema), attributes(t.AttributeDefinitions))+describeProjection(projection(index)) {
			continue
		}
		if exists {
			if err := update(dynamotypes.GlobalSecondaryIndexUpdate{Delete: &dynamotypes.DeleteGlobalSecondaryIndexAction{IndexName: &index.IndexName}}); err != nil {
				return err
			}
		}
		if err := update(dynamotypes.GlobalSecondaryIndexUpdate{Create: &dynamotypes.CreateGlobalSecondaryIndexAction{
			IndexName: &index.IndexName, KeySchema: keySchema(index.KeySchema), Projection: projection(index),
		}}); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		if err := update(dynamotypes.GlobalSecondaryIndexUpdate{Delete: &dynamotypes.DeleteGlobalSecondaryIndexAction{IndexName: &name}}); err != nil {
			return err
		}
	}
	return nil
}

func expiry(ctx context.Context, db *dynamodb.Client, t cfn.Table) error {
	if !t.TimeToLiveSpecification.Enabled {
		return nil
	}
	described, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.Name})
	if err == nil && described.TimeToLiveDescription.TimeToLiveStatus != dynamotypes.TimeToLiveStatusEnabled {
		_, err = db.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName: &t.Name,
			TimeToLiveSpecification: &dynamotypes.TimeToLiveSpecification{
				AttributeName: &t.TimeToLiveSpecification.AttributeName, Enabled: aws.Bool(true),
			},
		})
	}
	if err != nil {
		return fmt.Errorf("letting items of %s expire: %w", t.Name, err)
	}
	return nil
}

func keySchema(keys []cfn.Key) []dynamotypes.KeySchemaElement {
	var schema []dynamotypes.KeySchemaElement
	for _, key := range keys {
		schema = append(schema, dynamotypes.KeySchemaElement{AttributeName: aws.String(key.AttributeName), KeyType: dynamotypes.KeyType(key.KeyType)})
	}
	return schema
}

func attributes(declared []cfn.Attribute) []dynamotypes.AttributeDefinition {
	var definitions []dynamotypes.AttributeDefinition
	for _, a := range declared {
		definitions = append(definitions, dynamotypes.AttributeDefinition{
			AttributeName: aws.String(a.AttributeName), AttributeType: dynamotypes.ScalarAttributeType(a.AttributeType),
		})
	}
	return definitions
}

func streamSpecification(s cfn.Stream) *dynamotypes.StreamSpecification {
	if s.StreamViewType == "" {
		return nil
	}
	return &dynamotypes.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: dynamotypes.StreamViewType(s.StreamViewType)}
}

func projection(index cfn.Index) *dynamotypes.Projection {
	return &dynamotypes.Projection{
		ProjectionType:   dynamotypes.ProjectionType(index.Projection.ProjectionType),
		NonKeyAttributes: index.Projection.NonKeyAttributes,
	}
}

// describeKey makes keys comparable: name, role and type of each attribute.
func describeKey(schema []dynamotypes.KeySchemaElement, definitions []dynamotypes.AttributeDefinition) string {
	var b strings.Builder
	for _, key := range schema {
		fmt.Fprintf(&b, "%s:%s", *key.AttributeName, key.KeyType)
		for _, definition := range definitions {
			if *definition.AttributeName == *key.AttributeName {
				fmt.Fprintf(&b, ":%s", definition.AttributeType)
			}
		}
		b.WriteByte(' ')
	}
	return b.String()
}

func describeProjection(p *dynamotypes.Projection) string {
	return string(p.ProjectionType) + fmt.Sprint(slices.Sorted(slices.Values(p.NonKeyAttributes)))
}

func bucket(ctx context.Context, store *s3.Client, b cfn.Bucket) error {
	_, err := store.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    &b.Name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(cfn.Region)},
	})
	if owned := (*s3types.BucketAlreadyOwnedByYou)(nil); errors.As(err, &owned) {
		err = nil
	}
	if err == nil && b.Versioned {
		_, err = store.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket:                  &b.Name,
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
		})
	}
	if err != nil {
		return fmt.Errorf("creating bucket %s: %w", b.Name, err)
	}
	return nil
}

func queue(ctx context.Context, service *sqs.Client, q cfn.Queue) error {
	_, err := service.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &q.Name, Attributes: q.Attributes})
	if exists := (*sqstypes.QueueNameExists)(nil); errors.As(err, &exists) { // with other attributes
		var found *sqs.GetQueueUrlOutput
		if found, err = service.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &q.Name}); err == nil {
			_, err = service.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: found.QueueUrl, Attributes: q.Attributes})
		}
	}
	if err != nil {
		return fmt.Errorf("creating queue %s: %w", q.Name, err)
	}
	return nil
}

// secret never replaces a value: hashes in the tables depend on it.
func secret(ctx context.Context, service *secretsmanager.Client, s cfn.Secret) error {
	value, err := secretValue(s)
	if err == nil {
		_, err = service.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &s.Name, SecretString: &value})
	}
	if exists := (*secrettypes.ResourceExistsException)(nil); errors.As(err, &exists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("creating secret %s: %w", s.Name, err)
	}
	return nil
}

const (
	lettersAndDigits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	punctuation      = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

func secretValue(s cfn.Secret) (string, error) {
	if s.SecretString != "" {
		return s.SecretString, nil
	}
	alphabet := lettersAndDigits
	if !s.Generate.ExcludePunctuation {
		alphabet += punctuation
	}
	alphabet = strings.Map(func(r rune) rune {
		if strings.ContainsRune(s.Generate.ExcludeCharacters, r) {
			return -1
		}
		return r
	}, alphabet)
	value := make([]byte, cmp.Or(int(s.Generate.PasswordLength), 32))
	for i := range value {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return "", err
		}
		value[i] = alphabet[n.Int64()]
	}
	if s.Generate.GenerateStringKey == "" {
		return string(value), nil
	}
	object := map[string]any{}
	if err := json.Unmarshal([]byte(s.Generate.SecretStringTemplate), &object); err != nil {
		return "", fmt.Errorf("reading its template: %w", err)
	}
	object[s.Generate.GenerateStringKey] = string(value)
	whole, err := json.Marshal(object)
	return string(whole), err
}
