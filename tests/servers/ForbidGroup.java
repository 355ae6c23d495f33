import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;

/** Allows a group to a user that nobody is: to everybody else it is forbidden then. Arguments: brokers, the group. */
public class ForbidGroup {
  public static void main(String[] arguments) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
      var group = new ResourcePattern(ResourceType.GROUP, arguments[1], PatternType.LITERAL);
      var allowed = new AccessControlEntry("User:nobody", "*", AclOperation.READ, AclPermissionType.ALLOW);
      admin.createAcls(List.of(new AclBinding(group, allowed))).all().get();
    }
  }
}
