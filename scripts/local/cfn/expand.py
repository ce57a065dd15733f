"""Expands a SAM template, read from stdin, to plain CloudFormation on stdout.

Arguments: parameter values as NAME=VALUE.
"""

import json
import sys

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    """Policies are named by ARN here: no look-up by short name, no network."""

    def load(self):
        return {}


def main():
    template = yaml_parse(sys.stdin.read())
    for resource in template.get("Resources", {}).values():
        if resource.get("Type") == "AWS::Serverless::Function":
            # The translator wants code that has been uploaded. The local stack
            # links the components and uploads nothing.
            resource["Properties"]["CodeUri"] = "s3://local/code.zip"
        if resource.get("Type") == "AWS::Serverless::StateMachine":
            # Nor definitions: their path comes back as the key of an object.
            path = resource["Properties"]["DefinitionUri"]
            resource["Properties"]["DefinitionUri"] = "s3://local/" + path
    parameters = dict(argument.split("=", 1) for argument in sys.argv[1:])
    try:
        expanded = transform(template, parameters, NoManagedPolicies())
    except InvalidDocumentException as e:
        sys.exit("\n".join([e.message] + [cause.message for cause in e.causes]))
    json.dump(expanded, sys.stdout)


main()
