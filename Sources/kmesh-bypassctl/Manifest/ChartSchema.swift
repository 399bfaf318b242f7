extension Chart {
    /// The values that Helm accepts (values.schema.json). Without it a misspelled name has no effect, `"false"` in quotes is
    /// true to a template, and the controller could be given root's group.
    static var valuesSchema: String {
        """
        {
          "$schema": "http://json-schema.org/draft-07/schema#",
          "title": "Values of kmesh-bypass",
          "type": "object",
          "additionalProperties": false,
          "required": ["gid", "nodeSelector", "admissionPolicies", "controller", "daemon", "monitoring"],
          "definitions": {
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "image": {"type": "string", "pattern": "^[^\\\\s\\"']+$"},
            "resources": {
              "type": "object",
              "additionalProperties": false,
              "properties": {"requests": {"type": "object"}, "limits": {"type": "object"}}
            }
          },
          "properties": {
            "global": {"type": "object"},
            "gid": {
              "description": "The number of the nodes' group kmesh. 0 is root's group, which gives more than the daemon.",
              "type": "integer",
              "minimum": 1,
              "maximum": \(Int32.max)
            },
            "nodeSelector": {"$ref": "#/definitions/labels"},
            "admissionPolicies": {"type": "boolean"},
            "controller": {
              "type": "object",
              "additionalProperties": false,
              "required": ["image", "resources"],
              "properties": {"image": {"$ref": "#/definitions/image"}, "resources": {"$ref": "#/definitions/resources"}}
            },
            "daemon": {
              "type": "object",
              "additionalProperties": false,
              "required": ["enabled", "image", "policy", "resources"],
              "properties": {
                "enabled": {"type": "boolean"},
                "image": {"$ref": "#/definitions/image"},
                "policy": {"type": "string"},
                "resources": {"$ref": "#/definitions/resources"}
              }
            },
            "monitoring": {
              "type": "object",
              "additionalProperties": false,
              "required": ["enabled", "host", "namespaceSelector", "labels"],
              "properties": {
                "enabled": {"type": "boolean"},
                "host": {"type": "string", "pattern": "^[0-9A-Za-z.:\\\\[\\\\]-]+$"},
                "namespaceSelector": {"$ref": "#/definitions/labels"},
                "labels": {"$ref": "#/definitions/labels"}
              }
            }
          }
        }

        """
    }
}
